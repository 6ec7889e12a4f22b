package user

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"gorm.io/gorm"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
)

var passwordColumns = []string{"password_hash", "password_at", "must_change", "history", "failed", "locked_until", "updated_at"}

// me is the person that asks. Keys have no account: auth.ErrUnauthorized.
func (s *Service) me(ctx context.Context) (User, error) {
	id := auth.From(ctx).UserID
	if id == "" {
		return User{}, auth.ErrUnauthorized.With("A key has no account of its own.")
	}
	return store{s.db.WithContext(ctx)}.user(id)
}

// confirmPassword checks the asker's password before something that matters. Wrong ones count as at signing in.
func (s *Service) confirmPassword(ctx context.Context, password string) (User, error) {
	u, err := s.me(ctx)
	if err != nil {
		return u, err
	}
	if err := s.attempt(ctx, &u, password); err != nil {
		if errors.Is(err, ErrWrongPassword) {
			err = ErrWrongPassword.At("body.password", "wrong", "It is not your present password.")
		}
		return u, err
	}
	u.Failed, u.LockedUntil = 0, nil
	return u, store{s.db.WithContext(ctx)}.save(&u, "failed", "locked_until")
}

func (s *Service) checkPassword(password, login, pointer string) error {
	if fault, text := s.cfg.weak(password, login); fault != "" {
		return ErrWeakPassword.At(pointer, fault, "%s", text)
	}
	return nil
}

// setPassword puts a hash in, and the one before into the history.
func (s *Service) setPassword(u *User, hash string) {
	u.History = append([]string{u.PasswordHash}, u.History...)
	u.History = u.History[:min(len(u.History), s.cfg.PasswordKeep)]
	u.PasswordHash, u.PasswordAt, u.UpdatedAt = hash, s.now(), s.now()
}

// ChangePassword gives the asker a new password and ends their other sessions. Errors: ErrWrongPassword, ErrLocked,
// ErrWeakPassword (also for one of the last passwords).
func (s *Service) ChangePassword(ctx context.Context, old, password string) error {
	u, err := s.confirmPassword(ctx, old)
	if err != nil {
		return err
	}
	if err := s.checkPassword(password, u.Login, "body.new"); err != nil {
		return err
	}
	before := append([]string{u.PasswordHash}, u.History...)
	for _, hash := range before[:min(len(before), max(s.cfg.PasswordKeep, 1))] {
		if same, err := s.hash.match(ctx, password, hash); err != nil {
			return fmt.Errorf("check history: %w", err)
		} else if same {
			return ErrWeakPassword.At("body.new", "used_before", "One of your last passwords.")
		}
	}
	hash, err := s.hash.hash(ctx, password)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	return db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		was := u
		is := u
		s.setPassword(&is, hash)
		is.MustChange = false
		if err := (store{tx}).save(&is, passwordColumns...); err != nil {
			return err
		}
		if err := s.endSessions(ctx, tx, &is, "", "password_changed"); err != nil {
			return err
		}
		return s.record(ctx, tx, "user.change_password", &was, &is, auth.From(ctx).UnitPath)
	})
}

// TOTP is what an authenticator app needs to know.
type TOTP struct {
	Secret string `json:"secret" doc:"To type in, where a QR code cannot be read"`
	URL    string `json:"url" doc:"otpauth:// address, for a QR code"`
}

// EnrolTOTP begins to set up a second factor: it makes a new secret. It counts from [Service.ConfirmTOTP] on.
func (s *Service) EnrolTOTP(ctx context.Context, password string) (TOTP, error) {
	u, err := s.confirmPassword(ctx, password)
	if err != nil {
		return TOTP{}, err
	}
	if u.TOTPOn {
		return TOTP{}, ErrTOTPOn
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Callplane", AccountName: u.Login})
	if err != nil {
		return TOTP{}, fmt.Errorf("make second factor: %w", err)
	}
	u.TOTPSecret, u.TOTPStep = key.Secret(), 0
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		was := u
		if err := (store{tx}).save(&u, "totp_secret", "totp_step"); err != nil {
			return err
		}
		return s.record(ctx, tx, "user.totp.enrol", &was, &u, auth.From(ctx).UnitPath)
	})
	return TOTP{key.Secret(), key.URL()}, err
}

// ConfirmTOTP turns the second factor on when the code shows that the app is set up. It returns ten recovery codes,
// each good once in place of a code; they are shown this one time. Errors: ErrWrongCode, ErrTOTPOn.
func (s *Service) ConfirmTOTP(ctx context.Context, code string) (codes []string, err error) {
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		u, err := store{tx}.user(auth.From(ctx).UserID)
		switch {
		case err != nil:
			return err
		case u.TOTPOn:
			return ErrTOTPOn
		}
		was := u
		step := s.step(&u, code)
		if step == 0 {
			return ErrWrongCode.At("body.code", "wrong", "Not the code of this moment; is the clock right?")
		}
		codes, u.Recovery = nil, nil
		for range 10 {
			t := strings.ToLower(rand.Text())
			c := t[:5] + "-" + t[5:10]
			codes, u.Recovery = append(codes, c), append(u.Recovery, digest(c))
		}
		u.TOTPOn, u.TOTPStep, u.UpdatedAt = true, step, s.now()
		if err := (store{tx}).save(&u, "totp_on", "totp_step", "recovery", "updated_at"); err != nil {
			return err
		}
		return s.record(ctx, tx, "user.totp.on", &was, &u, auth.From(ctx).UnitPath)
	})
	return codes, err
}

// RemoveTOTP turns the asker's second factor off, unless a role asks for it (ErrCodeRequired).
func (s *Service) RemoveTOTP(ctx context.Context, password string) error {
	u, err := s.confirmPassword(ctx, password)
	if err != nil {
		return err
	}
	if needs, err := s.needsTOTP(store{s.db.WithContext(ctx)}, &u); err != nil {
		return err
	} else if needs {
		return ErrCodeRequired
	}
	return db.Tx(ctx, s.db, func(tx *gorm.DB) error { return s.dropTOTP(ctx, tx, u, "user.totp.off") })
}

// DropTOTP takes the second factor of a person away who lost it.
func (s *Service) DropTOTP(ctx context.Context, id auth.UserID) error {
	return db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		u, err := store{tx}.manageableUser(ctx, id)
		if err != nil {
			return err
		}
		return s.dropTOTP(ctx, tx, u, "user.totp.drop")
	})
}

func (s *Service) dropTOTP(ctx context.Context, tx *gorm.DB, u User, action string) error {
	was := u
	u.TOTPOn, u.TOTPSecret, u.Recovery, u.UpdatedAt = false, "", []string{}, s.now()
	if err := (store{tx}).save(&u, "totp_on", "totp_secret", "recovery", "updated_at"); err != nil {
		return err
	}
	return s.record(ctx, tx, action, &was, &u, s.tree.Path(u.UnitID))
}

var totpOptions = totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}

// step is the time step that the code belongs to: the present one or one beside it. 0: none of them.
func (s *Service) step(u *User, code string) int64 {
	if u.TOTPSecret == "" || len(code) != 6 {
		return 0
	}
	for _, off := range []time.Duration{0, -30 * time.Second, 30 * time.Second} {
		at := s.now().Add(off)
		want, err := totp.GenerateCodeCustom(u.TOTPSecret, at, totpOptions)
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return at.Unix() / 30
		}
	}
	return 0
}

// useCode takes a code of the app, or a recovery code. Each is good once.
func (s *Service) useCode(ctx context.Context, u *User, code string) (bool, error) {
	code = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(code), " ", ""))
	if step := s.step(u, code); step > 0 {
		return store{s.db.WithContext(ctx)}.useStep(u.ID, step)
	}
	used := false
	err := db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		used = false
		if len(u.Recovery) == 0 {
			return nil
		}
		// The row is locked by this write, so that of two at once only one finds the code.
		if err := tx.Model(&User{ID: u.ID}).Update("updated_at", s.now()).Error; err != nil {
			return err
		}
		fresh, err := store{tx}.user(u.ID)
		if err != nil {
			return err
		}
		i := slices.Index(fresh.Recovery, digest(code))
		if i < 0 {
			return nil
		}
		was := fresh
		fresh.Recovery = slices.Delete(slices.Clone(fresh.Recovery), i, i+1)
		if err := (store{tx}).save(&fresh, "recovery"); err != nil {
			return err
		}
		used = true
		return s.record(auth.With(ctx, &auth.Principal{Kind: auth.User, UserID: u.ID, Login: u.Login, UnitID: u.UnitID}),
			tx, "user.totp.recovery_used", &was, &fresh, s.tree.Path(u.UnitID))
	})
	return used, err
}
