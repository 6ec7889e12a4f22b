package app

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"gorm.io/gorm"

	"callplane/app/kernel/db/dbtest"
)

// faults is the names of the faulty fields, by field.
func (a answer) faults() map[string]string {
	out := map[string]string{}
	m, _ := a.json().(map[string]any)
	list, _ := m["errors"].([]any)
	for _, e := range list {
		f, _ := e.(map[string]any)
		field, _ := f["pointer"].(string)
		out[field], _ = f["name"].(string)
	}
	return out
}

// Weak passwords are refused with the field and the reason; what is stored cannot be turned back; five wrong attempts lock, and
// only then; an administrator's reset lets the person in again, once, to choose a new one.
//
//
func TestPasswords(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		c := newCentre(t, d)
		root, admin := c.tenant("acme")
		for password, why := range map[string]string{
			"Kz4!x": "too_short", "password123": "common", "anna.smith-Kz4!x": "contains_login", "aaaaaaaaaaaaaaa": "common",
		} {
			a := admin.refused(http.StatusUnprocessableEntity, http.MethodPost, "/api/user/users",
				object{"login": "anna.smith", "name": "Anna", "unit_id": root.ID, "password": password})
			if a.problem() != "weak_password" || a.faults()["body.password"] != why {
				t.Errorf("password %q: %s", password, a.body)
			}
		}
		anna := c.person(root.ID, "anna.smith", "agent")
		var stored struct{ PasswordHash string }
		if err := c.kit.DB.Table("user_users").Where("id = ?", anna.id).Take(&stored).Error; err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(stored.PasswordHash, "$argon2id$") || strings.Contains(stored.PasswordHash, anna.password) {
			t.Errorf("stored as %q", stored.PasswordHash)
		}
		if body := string(admin.get("/api/user/users/" + anna.id).body); strings.Contains(body, "hash") || strings.Contains(body, "argon2") {
			t.Errorf("the API shows the hash: %s", body)
		}
		if a := anna.refused(http.StatusUnprocessableEntity, http.MethodPost, "/api/user/password", object{"old": anna.password, "new": goodPassword}); a.faults()["body.new"] != "used_before" {
			t.Errorf("a former password: %s", a.body)
		}

		login := func(password string) answer {
			return c.nobody().do(http.MethodPost, "/api/user/login", object{"login": anna.login, "password": password})
		}
		for n := range 4 {
			if a := login("Wrong-Apple-42"); a.status != http.StatusUnauthorized || a.problem() != "bad_login" {
				t.Errorf("wrong attempt %d: %d %s", n+1, a.status, a.body)
			}
		}
		if a := login(anna.password); a.status != http.StatusOK {
			t.Fatalf("after four wrong attempts: %d %s", a.status, a.body)
		}
		for range 5 {
			login("Wrong-Apple-42")
		}
		if a := login(anna.password); a.status != http.StatusTooManyRequests || a.problem() != "account_locked" || a.header.Get("Retry-After") == "" {
			t.Fatalf("the right password after five wrong ones: %d %s", a.status, a.body)
		}
		// A login that nobody has behaves alike.
		for range 5 {
			c.nobody().refused(http.StatusUnauthorized, http.MethodPost, "/api/user/login", object{"login": "nobody", "password": "Wrong-Apple-42"})
		}
		c.nobody().refused(http.StatusTooManyRequests, http.MethodPost, "/api/user/login", object{"login": "nobody", "password": "Wrong-Apple-42"})

		old := anna.token
		made := admin.post("/api/user/users/"+anna.id+"/reset", nil).str("password")
		if made == "" {
			t.Fatal("the reset shows no password")
		}
		if a := login(anna.password); a.status != http.StatusUnauthorized {
			t.Errorf("the old password after the reset: %d", a.status)
		}
		anna.token = old
		anna.refused(http.StatusUnauthorized, http.MethodGet, "/api/user/me", nil)
		a := login(made)
		if a.status != http.StatusOK || a.str("must") != "change_password" {
			t.Fatalf("after the reset: %d %s", a.status, a.body)
		}
		anna.token = a.str("token")
		if a := anna.refused(http.StatusForbidden, http.MethodGet, "/api/agent/me", nil); a.problem() != "change_password" {
			t.Errorf("before the change: %s", a.body)
		}
		anna.post("/api/user/password", object{"old": made, "new": "Quiet-River-77"})
		anna.get("/api/agent/me")
	})
}

// With a second factor set, the password alone opens nothing; a code is good once; a recovery code works in its place; a role
// can ask for it; and an administrator can take away one that was lost.
//
//
func TestSecondFactor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		c := newCentre(t, d)
		root, admin := c.tenant("acme")
		anna := c.person(root.ID, "anna", "supervisor")
		enrol := func() (secret string, recovery []string) {
			t.Helper()
			secret = anna.post("/api/user/totp", object{"password": anna.password}).str("secret")
			if a := anna.refused(http.StatusUnprocessableEntity, http.MethodPost, "/api/user/totp/confirm", object{"code": "000000"}); a.problem() != "wrong_code" {
				t.Errorf("a wrong code: %s", a.body)
			}
			recovery = into[struct{ Codes []string }](anna.post("/api/user/totp/confirm", object{"code": code(t, secret, 0)})).Codes
			return secret, recovery
		}
		login := func(code string) answer {
			body := object{"login": anna.login, "password": anna.password}
			if code != "" {
				body["code"] = code
			}
			return c.nobody().do(http.MethodPost, "/api/user/login", body)
		}
		secret, recovery := enrol()
		if a := login(""); a.status != http.StatusUnauthorized || a.problem() != "code_needed" {
			t.Errorf("without a code: %d %s", a.status, a.body)
		}
		if a := login("000000"); a.status != http.StatusUnauthorized || a.problem() != "bad_login" {
			t.Errorf("a wrong code: %d %s", a.status, a.body)
		}
		next := code(t, secret, 30*time.Second) // the present one was used to confirm
		if a := login(next); a.status != http.StatusOK {
			t.Errorf("the right code: %d %s", a.status, a.body)
		}
		if a := login(next); a.status != http.StatusUnauthorized {
			t.Errorf("the same code again: %d", a.status)
		}
		if len(recovery) != 10 {
			t.Fatalf("recovery codes %v", recovery)
		}
		for _, want := range []int{http.StatusOK, http.StatusUnauthorized} {
			if a := login(recovery[3]); a.status != want {
				t.Errorf("a recovery code: %d, want %d", a.status, want)
			}
		}
		admin.post("/api/user/users/"+anna.id+"/drop-totp", nil)
		if a := login(""); a.status != http.StatusOK {
			t.Errorf("after the second factor was taken away: %d %s", a.status, a.body)
		}

		// A role that asks for it: nothing else works before.
		role := admin.post("/api/user/roles", object{"name": "careful", "grants": object{"call:read": "all"}, "second_factor": true}).str("id")
		admin.must(http.MethodPatch, "/api/user/users/"+anna.id, object{"roles": []string{role}})
		a := login("")
		if a.status != http.StatusOK || a.str("must") != "enrol_totp" {
			t.Fatalf("with the role: %d %s", a.status, a.body)
		}
		anna.token = a.str("token")
		if a := anna.refused(http.StatusForbidden, http.MethodGet, "/api/call/calls", nil); a.problem() != "enrol_totp" {
			t.Errorf("before enrolling: %s", a.body)
		}
		enrol()
		anna.get("/api/call/calls")
		if a := anna.refused(http.StatusConflict, http.MethodPost, "/api/user/totp/remove", object{"password": anna.password}); a.problem() != "second_factor_required" {
			t.Errorf("turning it off: %s", a.body)
		}
	})
}

// code is what an authenticator app shows.
func code(t *testing.T, secret string, from time.Duration) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, time.Now().Add(from))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
