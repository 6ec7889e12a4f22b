package speech

import (
	"time"
	"unicode"
)

// units counts what is spoken: each Chinese character and each digit is one, and so is each word of letters.
func units(text string) int {
	n, word := 0, false
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Han, r) || unicode.IsDigit(r):
			n++
			word = false
		case unicode.IsLetter(r):
			if !word {
				n++
			}
			word = true
		case r != '\'' && r != '’':
			word = false
		}
	}
	return n
}

// PerMinute is the speaking rate of a prompt: Chinese characters (or words of letters) each minute of sound, pauses
// included. Good prompts have 102 to 138, that is 120 ± 15 %. Without sound it is 0.
func PerMinute(text string, sound time.Duration) float64 {
	if sound <= 0 {
		return 0
	}
	return float64(units(text)) / sound.Minutes()
}
