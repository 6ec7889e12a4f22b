package speech

import (
	"strings"
	"time"
)

var zhDigit = [...]string{"零", "一", "二", "三", "四", "五", "六", "七", "八", "九"}

// zhNumber reads n in Mandarin. A leading 二 is 两 before 千, 万 and 亿; 一 is dropped before a leading 十.
func zhNumber(n int64) string {
	switch {
	case n == 0:
		return "零"
	case n < 0:
		return "负" + zhNumber2(uint64(-(n+1))+1)
	}
	return zhNumber2(uint64(n))
}

func zhNumber2(n uint64) string {
	text := zhBig(n)
	if rest, ok := strings.CutPrefix(text, "一十"); ok {
		return "十" + rest
	}
	if rest, ok := strings.CutPrefix(text, "二"); ok {
		for _, unit := range []string{"千", "万", "亿"} {
			if strings.HasPrefix(rest, unit) {
				return "两" + rest
			}
		}
	}
	return text
}

// zhBig reads n > 0 with all its units, by 亿 and then by 万. A gap of zeros before a lower part is one 零.
func zhBig(n uint64) string {
	for _, u := range []struct {
		size uint64
		name string
	}{{1e8, "亿"}, {1e4, "万"}} {
		if n < u.size {
			continue
		}
		text := zhBig(n/u.size) + u.name
		if rest := n % u.size; rest > 0 {
			if rest < u.size/10 {
				text += "零"
			}
			text += zhBig(rest)
		}
		return text
	}
	return zhFour(n)
}

// zhFour reads 1 to 9999.
func zhFour(n uint64) string {
	var text strings.Builder
	gap := false
	for _, u := range []struct {
		size uint64
		name string
	}{{1000, "千"}, {100, "百"}, {10, "十"}, {1, ""}} {
		d := n / u.size % 10
		if d == 0 {
			gap = text.Len() > 0
			continue
		}
		if gap {
			text.WriteString("零")
			gap = false
		}
		text.WriteString(zhDigit[d] + u.name)
	}
	return text.String()
}

// zhDigits reads each character; with phone, 1 is 幺.
func zhDigits(s string, phone bool) string {
	var text strings.Builder
	for _, r := range s {
		switch {
		case r == '1' && phone:
			text.WriteString("幺")
		case '0' <= r && r <= '9':
			text.WriteString(zhDigit[r-'0'])
		case r == '+':
			text.WriteString("加")
		case r == '*':
			text.WriteString("星号")
		case r == '#':
			text.WriteString("井号")
		default:
			text.WriteString(" " + strings.ToUpper(string(r)) + " ")
		}
	}
	return strings.TrimSpace(strings.ReplaceAll(text.String(), "  ", " "))
}

// zhClock names the part of the day, as people do: 下午三点零五分, 晚上八点半, 中午十二点.
func zhClock(t time.Time) string {
	h, m := t.Hour(), t.Minute()
	part, hour := "晚上", h-12
	switch {
	case h < 5:
		part, hour = "凌晨", h
	case h < 8:
		part, hour = "早上", h
	case h < 12:
		part, hour = "上午", h
	case h == 12:
		part, hour = "中午", h
	case h < 18:
		part = "下午"
	}
	text := part + zhNumber(int64(hour)) + "点"
	if hour == 2 {
		text = part + "两点"
	}
	switch {
	case m == 0:
		return text
	case m == 30:
		return text + "半"
	case m < 10:
		return text + "零" + zhNumber(int64(m)) + "分"
	}
	return text + zhNumber(int64(m)) + "分"
}
