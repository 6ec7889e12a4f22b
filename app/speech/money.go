package speech

import (
	"fmt"
	"strconv"
	"strings"
)

// decimal is a number in its written form: 12.50 is 12 and "5".
type decimal struct {
	minus bool
	whole int64
	part  string // digits behind the point, without zeros at the end
}

// parseDecimal takes an optional sign, up to 18 digits, and up to 18 behind a point.
func parseDecimal(s string) (d decimal, err error) {
	text := strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		d.minus, text = true, rest
	}
	whole, part, point := strings.Cut(text, ".")
	digits := func(s string) bool { return len(s) <= 18 && strings.Trim(s, "0123456789") == "" }
	if whole == "" || !digits(whole) || !digits(part) || point && part == "" {
		return d, fmt.Errorf("%q is not a decimal number", s)
	}
	d.whole, err = strconv.ParseInt(whole, 10, 64)
	d.part = strings.TrimRight(part, "0")
	d.minus = d.minus && (d.whole != 0 || d.part != "")
	return d, err
}

// money is how a currency is named. Without a small unit, amounts are read with a point.
type money struct {
	zh, one, many, cent, cents string
}

var currencies = map[string]money{
	"CNY": {"元", "yuan", "yuan", "", ""},
	"USD": {"美元", "dollar", "dollars", "cent", "cents"},
	"EUR": {"欧元", "euro", "euros", "cent", "cents"},
	"GBP": {"英镑", "pound", "pounds", "penny", "pence"},
	"JPY": {"日元", "yen", "yen", "", ""},
	"HKD": {"港元", "Hong Kong dollar", "Hong Kong dollars", "cent", "cents"},
	"TWD": {"新台币", "Taiwan dollar", "Taiwan dollars", "cent", "cents"},
	"AUD": {"澳元", "Australian dollar", "Australian dollars", "cent", "cents"},
	"CAD": {"加元", "Canadian dollar", "Canadian dollars", "cent", "cents"},
	"SGD": {"新加坡元", "Singapore dollar", "Singapore dollars", "cent", "cents"},
}

// Amount is money: "123.45" of CNY is 一百二十三元四角五分, of USD "one hundred and twenty-three dollars and forty-five
// cents". The currency is an ISO 4217 code (RMB is CNY); an unknown one is spelled. The amount is a decimal number,
// never a float; more digits than the currency has are read with a point. Anything else is an error.
func (w Words) Amount(amount, currency string) (string, error) {
	d, err := parseDecimal(amount)
	if err != nil {
		return "", err
	}
	code := strings.ToUpper(strings.TrimSpace(currency))
	if code == "RMB" {
		code = "CNY"
	}
	m, ok := currencies[code]
	if !ok {
		return w.decimal(d) + " " + strings.TrimSpace(w.Digits(code)), nil
	}
	abs := d
	abs.minus = false
	text := ""
	switch w.lang.Base() {
	case "zh":
		text = zhMoney(abs, m, code == "CNY")
	case "en", "":
		text = enMoney(abs, m)
	default:
		return w.decimal(d) + " " + code, nil
	}
	if d.minus {
		text = w.minus(text)
	}
	return text, nil
}

// zhMoney reads yuan with 角 and 分, other money with a point.
func zhMoney(d decimal, m money, yuan bool) string {
	count := In(Chinese).Count
	switch {
	case d.part == "":
		return count(d.whole) + m.zh
	case !yuan || len(d.part) > 2:
		return In(Chinese).decimal(d) + m.zh
	}
	text := ""
	if d.whole > 0 {
		text = count(d.whole) + m.zh
	}
	if jiao := int64(d.part[0] - '0'); jiao > 0 {
		text += count(jiao) + "角"
	} else if text != "" {
		text += "零"
	}
	if len(d.part) == 2 {
		fen := zhDigit[d.part[1]-'0']
		if d.part[1] == '2' && d.part[0] == '0' && d.whole == 0 {
			fen = "两"
		}
		text += fen + "分"
	}
	return text
}

func enMoney(d decimal, m money) string {
	name := m.many
	if d.whole == 1 && d.part == "" {
		name = m.one
	}
	if d.part == "" {
		return enNumber(d.whole) + " " + name
	}
	if m.cent == "" || len(d.part) > 2 {
		return In(English).decimal(d) + " " + m.many
	}
	cents, _ := strconv.ParseInt((d.part + "0")[:2], 10, 64)
	small := enNumber(cents) + " " + m.cents
	if cents == 1 {
		small = "one " + m.cent
	}
	if d.whole == 0 {
		return small
	}
	if d.whole == 1 {
		name = m.one
	}
	return enNumber(d.whole) + " " + name + " and " + small
}
