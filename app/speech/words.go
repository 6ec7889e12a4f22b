package speech

import (
	"fmt"
	"strings"
	"time"
)

// Words puts values into words of one language. The zero value speaks English.
type Words struct{ lang Lang }

// In speaks the language. Languages other than Chinese and English get values as plain digits, which most
// voices read well.
func In(lang Lang) Words { return Words{lang} }

// Number is n as said in counting and on price tags: 105 is 一百零五, "one hundred and five".
func (w Words) Number(n int64) string {
	switch w.lang.Base() {
	case "zh":
		return zhNumber(n)
	case "en", "":
		return enNumber(n)
	}
	return fmt.Sprint(n)
}

// Count is n before the name of what is counted: two is 两 in Chinese (两分钟), else it equals Number.
func (w Words) Count(n int64) string {
	if n == 2 && w.lang.Base() == "zh" {
		return "两"
	}
	return w.Number(n)
}

// Ordinal is n as a place in a row, from 1: 第二, "second", "twenty-first".
func (w Words) Ordinal(n int64) string {
	switch w.lang.Base() {
	case "zh":
		return "第" + zhNumber(n)
	case "en", "":
		return enOrdinal(n)
	}
	return fmt.Sprint(n)
}

// Position is the number to say to the caller in place n of a queue, from 1 (next to be served); less is 1. It
// goes where the prompt queue/position has {number}: 您现在排在第三位, "you are number three in the queue".
func (w Words) Position(n int) string { return w.Number(int64(max(n, 1))) }

// Decimal is a decimal number such as "-12.50", digit by digit behind the point. Anything else is an error.
func (w Words) Decimal(number string) (string, error) {
	d, err := parseDecimal(number)
	if err != nil {
		return "", err
	}
	return w.decimal(d), nil
}

func (w Words) decimal(d decimal) string {
	text := w.Number(d.whole)
	if d.part != "" {
		switch w.lang.Base() {
		case "zh":
			text += "点" + zhDigits(d.part, false)
		case "en", "":
			text += " point " + enDigits(d.part)
		default:
			text += "." + d.part
		}
	}
	if d.minus {
		text = w.minus(text)
	}
	return text
}

func (w Words) minus(text string) string {
	switch w.lang.Base() {
	case "zh":
		return "负" + text
	case "en", "":
		return "minus " + text
	}
	return "-" + text
}

// Digits reads a string digit by digit, in groups with a short pause: an account number, a code. It knows
// + * # and letters; other characters part groups. 1 is 一.
func (w Words) Digits(s string) string { return w.digits(s, false) }

// Phone is Digits for telephone numbers: in Chinese 1 is 幺, and a mobile number is grouped 3, 4, 4.
func (w Words) Phone(s string) string { return w.digits(s, true) }

func (w Words) digits(s string, phone bool) string {
	var groups []string
	for _, run := range strings.FieldsFunc(s, func(r rune) bool { return !dialled(r) }) {
		for _, g := range grouped(run) {
			switch w.lang.Base() {
			case "zh":
				groups = append(groups, zhDigits(g, phone))
			case "en", "":
				groups = append(groups, enDigits(g))
			default:
				groups = append(groups, strings.Join(strings.Split(g, ""), " "))
			}
		}
	}
	if w.lang.Base() == "zh" {
		return strings.Join(groups, "，")
	}
	return strings.Join(groups, ", ")
}

func dialled(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("+*#", r)
}

// grouped parts a run of digits the way people read it: up to 5 whole, 6 as 3+3, 7 as 3+4, a mobile number as
// 3+4+4, more in fours. A leading plus or country code is not treated apart.
func grouped(run string) []string {
	sizes := []int{}
	switch n := len(run); {
	case n <= 5:
		return []string{run}
	case n == 6:
		sizes = []int{3}
	case n == 7:
		sizes = []int{3}
	case n == 11:
		sizes = []int{3, 4}
	default:
		for range (n - 1) / 4 {
			sizes = append(sizes, 4)
		}
	}
	var groups []string
	for _, n := range sizes {
		groups, run = append(groups, run[:n]), run[n:]
	}
	return append(groups, run)
}

// Duration is a wait as people say it, to follow "about": half a minute up to 30 s, whole minutes up to ten,
// steps of five up to an hour, then half hours. It rounds up, so that nobody is promised too little; the first
// 10 s over a step are forgiven.
func (w Words) Duration(d time.Duration) string {
	d = max(d-10*time.Second, 0)
	up := func(step time.Duration) int { return int(max((d+step-1)/step, 1)) }
	switch {
	case d <= 20*time.Second:
		return w.either("半分钟", "half a minute", "0.5 min")
	case d <= 10*time.Minute:
		return w.minutes(up(time.Minute))
	case d <= 55*time.Minute:
		return w.minutes(5 * up(5*time.Minute))
	}
	halves := up(30 * time.Minute)
	hours := int64(halves / 2)
	if halves%2 == 0 {
		return w.hours(hours)
	}
	switch w.lang.Base() {
	case "zh":
		return w.Count(hours) + "个半小时"
	case "en", "":
		return enNumber(hours) + " and a half hours"
	}
	return fmt.Sprintf("%d.5 h", hours)
}

func (w Words) minutes(n int) string {
	return w.Count(int64(n)) + w.either("分钟", plural(int64(n), " minute"), " min")
}

func (w Words) hours(n int64) string {
	return w.Count(n) + w.either("小时", plural(n, " hour"), " h")
}

// Exact is a duration to the second, without rounding up: 两分钟五秒, "two minutes five seconds". Negative is 0.
func (w Words) Exact(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	var parts []string
	if h := s / 3600; h > 0 {
		parts = append(parts, w.hours(h))
	}
	if m := s / 60 % 60; m > 0 {
		parts = append(parts, w.minutes(int(m)))
	}
	if sec := s % 60; sec > 0 || len(parts) == 0 {
		parts = append(parts, w.Count(sec)+w.either("秒", " second"+map[bool]string{true: "", false: "s"}[sec == 1], " s"))
	}
	return strings.Join(parts, w.either("", " ", " "))
}

// Clock is the time of day to the minute, in t's zone: 下午三点零五分, "five past three" as "three oh five p.m.".
func (w Words) Clock(t time.Time) string {
	switch w.lang.Base() {
	case "zh":
		return zhClock(t)
	case "en", "":
		return enClock(t)
	}
	return t.Format("15:04")
}

// Date is the day in t's zone: 二零二六年三月二日, "the second of March, twenty twenty-six".
func (w Words) Date(t time.Time) string {
	switch w.lang.Base() {
	case "zh":
		return zhDigits(fmt.Sprint(t.Year()), false) + "年" + zhNumber(int64(t.Month())) + "月" + zhNumber(int64(t.Day())) + "日"
	case "en", "":
		return "the " + enOrdinal(int64(t.Day())) + " of " + t.Month().String() + ", " + enYear(t.Year())
	}
	return t.Format("2006-01-02")
}

// either picks the text for Chinese, English, or another language.
func (w Words) either(zh, en, other string) string {
	switch w.lang.Base() {
	case "zh":
		return zh
	case "en", "":
		return en
	}
	return other
}

func plural(n int64, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
