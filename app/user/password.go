package user

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/alexedwards/argon2id"
)

// commonList holds passwords that attackers try first, without digits and signs at their ends.
//
//go:embed common.txt
var commonList string

var common = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for _, line := range strings.Fields(commonList) {
		set[line] = true
	}
	return set
})

// hasher makes and checks password hashes, two at a time: each needs a lot of memory.
type hasher struct {
	params argon2id.Params
	turn   chan struct{}
	dummy  func() string // a hash of nothing known, for logins that do not exist
}

func newHasher(memoryMiB int) *hasher {
	if memoryMiB <= 0 {
		memoryMiB = 46
	}
	h := &hasher{
		params: argon2id.Params{Memory: uint32(memoryMiB) << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		turn:   make(chan struct{}, 2),
	}
	h.dummy = sync.OnceValue(func() string {
		hash, err := argon2id.CreateHash(rand.Text(), &h.params)
		if err != nil {
			panic(err) // the machine has no randomness
		}
		return hash
	})
	return h
}

func (h *hasher) wait(ctx context.Context) error {
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hash is the password's argon2id hash with a fresh salt, in PHC form.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.wait(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.turn }()
	return argon2id.CreateHash(password, &h.params)
}

// match compares in constant time. An empty hash takes as long, and matches nothing.
func (h *hasher) match(ctx context.Context, password, hash string) (bool, error) {
	known := hash != ""
	if !known {
		hash = h.dummy()
	}
	if err := h.wait(ctx); err != nil {
		return false, err
	}
	defer func() { <-h.turn }()
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	return ok && known, err
}

// weak says why a password is too weak for that login, by fault name; empty if it is not.
func (c Config) weak(password, login string) (fault, text string) {
	lower := strings.ToLower(password)
	switch {
	case len([]rune(password)) < c.PasswordMin:
		return "too_short", fmt.Sprintf("At least %d characters.", c.PasswordMin)
	case len(password) > 200:
		return "too_long", "At most 200 bytes."
	case len(login) >= 3 && strings.Contains(lower, login):
		return "contains_login", "It must not contain the login."
	case isCommon(lower):
		return "common", "Too easy to guess."
	}
	return "", ""
}

var unleet = strings.NewReplacer("@", "a", "4", "a", "0", "o", "1", "i", "3", "e", "$", "s", "5", "s", "7", "t", "!", "i")

// isCommon finds listed passwords, also with digits and signs around them or in place of letters; and those of few
// different characters, or of a walk along the keyboard or alphabet.
func isCommon(lower string) bool {
	const edge = "0123456789!@#$%^&*()-_=+.,?~ "
	for _, v := range []string{lower, unleet.Replace(lower), strings.Trim(lower, edge), unleet.Replace(strings.Trim(lower, edge)),
		strings.Trim(unleet.Replace(strings.TrimRight(lower, edge)), edge)} {
		if common()[v] {
			return true
		}
	}
	different := map[rune]bool{}
	for _, r := range lower {
		different[r] = true
	}
	return len(different) < 4 || walks(lower)
}

// walks tells whether all but three characters continue one of these rows.
func walks(s string) bool {
	steps := 0
	for i := 1; i < len(s); i++ {
		for _, row := range []string{"01234567890", "09876543210", "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba",
			"qwertyuiop", "poiuytrewq", "asdfghjkl", "lkjhgfdsa", "zxcvbnm", "mnbvcxz"} {
			if strings.Contains(row, s[i-1:i+1]) {
				steps++
				break
			}
		}
	}
	return steps >= len(s)-4
}

// randomPassword is for somebody to type once: 20 letters and digits in groups, 100 bits.
func randomPassword() string {
	t := strings.ToLower(rand.Text())
	return strings.Join([]string{t[:5], t[5:10], t[10:15], t[15:20]}, "-")
}

// secret is 256 random bits, with a prefix that tells what it opens.
func secret(prefix string) string {
	b := make([]byte, 32)
	rand.Read(b)
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

// digest is what is stored of a random secret. It needs no salt: nobody can guess 256 bits.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
