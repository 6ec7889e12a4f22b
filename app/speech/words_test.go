package speech

import (
	"math"
	"testing"
	"time"

	"callplane/sounds"
)

func TestNumber(t *testing.T) {
	for _, tt := range []struct {
		n      int64
		zh, en string
	}{
		{0, "零", "zero"},
		{1, "一", "one"},
		{2, "二", "two"},
		{10, "十", "ten"},
		{12, "十二", "twelve"},
		{19, "十九", "nineteen"},
		{20, "二十", "twenty"},
		{21, "二十一", "twenty-one"},
		{99, "九十九", "ninety-nine"},
		{100, "一百", "one hundred"},
		{101, "一百零一", "one hundred and one"},
		{105, "一百零五", "one hundred and five"},
		{110, "一百一十", "one hundred and ten"},
		{112, "一百一十二", "one hundred and twelve"},
		{200, "二百", "two hundred"},
		{222, "二百二十二", "two hundred and twenty-two"},
		{999, "九百九十九", "nine hundred and ninety-nine"},
		{1000, "一千", "one thousand"},
		{1001, "一千零一", "one thousand and one"},
		{1010, "一千零一十", "one thousand and ten"},
		{1100, "一千一百", "one thousand one hundred"},
		{2000, "两千", "two thousand"},
		{2022, "两千零二十二", "two thousand and twenty-two"},
		{2202, "两千二百零二", "two thousand two hundred and two"},
		{10000, "一万", "ten thousand"},
		{10001, "一万零一", "ten thousand and one"},
		{10010, "一万零一十", "ten thousand and ten"},
		{10500, "一万零五百", "ten thousand five hundred"},
		{12000, "一万二千", "twelve thousand"},
		{20000, "两万", "twenty thousand"},
		{22000, "两万二千", "twenty-two thousand"},
		{100000, "十万", "one hundred thousand"},
		{101000, "十万一千", "one hundred and one thousand"},
		{100010, "十万零一十", "one hundred thousand and ten"},
		{110000, "十一万", "one hundred and ten thousand"},
		{1000000, "一百万", "one million"},
		{1000001, "一百万零一", "one million and one"},
		{1234567, "一百二十三万四千五百六十七", "one million two hundred and thirty-four thousand five hundred and sixty-seven"},
		{20000000, "两千万", "twenty million"},
		{100000000, "一亿", "one hundred million"},
		{100000005, "一亿零五", "one hundred million and five"},
		{200000000, "两亿", "two hundred million"},
		{1000000000, "十亿", "one billion"},
		{1000100000, "十亿零一十万", "one billion one hundred thousand"},
		{1_000_000_000_000, "一万亿", "one trillion"},
		{1_000_000_010_000, "一万亿零一万", "one trillion ten thousand"},
		{-1, "负一", "minus one"},
		{-15, "负十五", "minus fifteen"},
		{-2000, "负两千", "minus two thousand"},
		{math.MaxInt64, "九百二十二亿三千三百七十二万零三百六十八亿五千四百七十七万五千八百零七",
			"nine quintillion two hundred and twenty-three quadrillion three hundred and seventy-two trillion thirty-six billion eight hundred and fifty-four million seven hundred and seventy-five thousand eight hundred and seven"},
		{math.MinInt64, "负九百二十二亿三千三百七十二万零三百六十八亿五千四百七十七万五千八百零八",
			"minus nine quintillion two hundred and twenty-three quadrillion three hundred and seventy-two trillion thirty-six billion eight hundred and fifty-four million seven hundred and seventy-five thousand eight hundred and eight"},
	} {
		if got := In(Chinese).Number(tt.n); got != tt.zh {
			t.Errorf("%d = %s, want %s", tt.n, got, tt.zh)
		}
		if got := In(English).Number(tt.n); got != tt.en {
			t.Errorf("%d = %q, want %q", tt.n, got, tt.en)
		}
	}
}

func TestCountsAndPlaces(t *testing.T) {
	for _, tt := range []struct {
		n                             int64
		zhCount, zhOrdinal, enOrdinal string
	}{
		{1, "一", "第一", "first"},
		{2, "两", "第二", "second"},
		{3, "三", "第三", "third"},
		{5, "五", "第五", "fifth"},
		{8, "八", "第八", "eighth"},
		{12, "十二", "第十二", "twelfth"},
		{20, "二十", "第二十", "twentieth"},
		{21, "二十一", "第二十一", "twenty-first"},
		{22, "二十二", "第二十二", "twenty-second"},
		{100, "一百", "第一百", "one hundredth"},
		{111, "一百一十一", "第一百一十一", "one hundred and eleventh"},
	} {
		zh := In(Chinese)
		if zh.Count(tt.n) != tt.zhCount || zh.Ordinal(tt.n) != tt.zhOrdinal || In(English).Ordinal(tt.n) != tt.enOrdinal {
			t.Errorf("%d = %s, %s, %s", tt.n, zh.Count(tt.n), zh.Ordinal(tt.n), In(English).Ordinal(tt.n))
		}
	}
	if In(English).Count(2) != "two" || In("fr").Number(12) != "12" || In("").Number(12) != "twelve" || In("zh").Position(0) != "一" {
		t.Error("a language fell through")
	}
}

func TestDigits(t *testing.T) {
	for _, tt := range []struct{ in, zh, phone, en string }{
		{"10", "一零", "幺零", "one zero"},
		{"13800138000", "一三八，零零一三，八零零零", "幺三八，零零幺三，八零零零",
			"one three eight, zero zero one three, eight zero zero zero"},
		{"010-1234", "零一零，一二三四", "零幺零，幺二三四", "zero one zero, one two three four"},
		{"123456", "一二三，四五六", "幺二三，四五六", "one two three, four five six"},
		{"*9#", "星号九井号", "星号九井号", "star nine hash"},
		{"+86", "加八六", "加八六", "plus eight six"},
		{"b12", "B 一二", "B 幺二", "B one two"},
		{"", "", "", ""},
		{"–", "", "", ""},
	} {
		if got := In(Chinese).Digits(tt.in); got != tt.zh {
			t.Errorf("%q = %s, want %s", tt.in, got, tt.zh)
		}
		if got := In(Chinese).Phone(tt.in); got != tt.phone {
			t.Errorf("phone %q = %s, want %s", tt.in, got, tt.phone)
		}
		if got := In(English).Digits(tt.in); got != tt.en {
			t.Errorf("%q = %q, want %q", tt.in, got, tt.en)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, tt := range []struct {
		d      time.Duration
		zh, en string
	}{
		{-time.Second, "半分钟", "half a minute"},
		{0, "半分钟", "half a minute"},
		{30 * time.Second, "半分钟", "half a minute"},
		{31 * time.Second, "一分钟", "one minute"},
		{70 * time.Second, "一分钟", "one minute"},
		{71 * time.Second, "两分钟", "two minutes"},
		{2 * time.Minute, "两分钟", "two minutes"},
		{150 * time.Second, "三分钟", "three minutes"},
		{10 * time.Minute, "十分钟", "ten minutes"},
		{11 * time.Minute, "十五分钟", "fifteen minutes"},
		{22 * time.Minute, "二十五分钟", "twenty-five minutes"},
		{55 * time.Minute, "五十五分钟", "fifty-five minutes"},
		{58 * time.Minute, "一小时", "one hour"},
		{time.Hour, "一小时", "one hour"},
		{65 * time.Minute, "一个半小时", "one and a half hours"},
		{2 * time.Hour, "两小时", "two hours"},
		{130 * time.Minute, "两个半小时", "two and a half hours"},
		{100 * time.Hour, "一百小时", "one hundred hours"},
	} {
		if got := In(Chinese).Duration(tt.d); got != tt.zh {
			t.Errorf("%v = %s, want %s", tt.d, got, tt.zh)
		}
		if got := In(English).Duration(tt.d); got != tt.en {
			t.Errorf("%v = %q, want %q", tt.d, got, tt.en)
		}
	}
	for _, tt := range []struct {
		d      time.Duration
		zh, en string
	}{
		{-1, "零秒", "zero seconds"},
		{time.Second, "一秒", "one second"},
		{125 * time.Second, "两分钟五秒", "two minutes five seconds"},
		{2*time.Hour + 2*time.Second, "两小时两秒", "two hours two seconds"},
		{61 * time.Minute, "一小时一分钟", "one hour one minute"},
	} {
		if zh, en := In(Chinese).Exact(tt.d), In(English).Exact(tt.d); zh != tt.zh || en != tt.en {
			t.Errorf("%v = %s, %q", tt.d, zh, en)
		}
	}
}

func TestClockAndDate(t *testing.T) {
	for _, tt := range []struct{ at, zh, en string }{
		{"00:00", "凌晨零点", "midnight"},
		{"00:05", "凌晨零点零五分", "twelve oh five a.m."},
		{"02:10", "凌晨两点十分", "two ten a.m."},
		{"06:30", "早上六点半", "six thirty a.m."},
		{"10:00", "上午十点", "ten a.m."},
		{"12:00", "中午十二点", "twelve noon"},
		{"12:02", "中午十二点零二分", "twelve oh two p.m."},
		{"14:00", "下午两点", "two p.m."},
		{"15:05", "下午三点零五分", "three oh five p.m."},
		{"22:45", "晚上十点四十五分", "ten forty-five p.m."},
	} {
		at, err := time.Parse("15:04", tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if zh, en := In(Chinese).Clock(at), In(English).Clock(at); zh != tt.zh || en != tt.en {
			t.Errorf("%s = %s, %q", tt.at, zh, en)
		}
	}
	for _, tt := range []struct{ day, zh, en string }{
		{"2026-03-02", "二零二六年三月二日", "the second of March, twenty twenty-six"},
		{"2000-12-31", "二零零零年十二月三十一日", "the thirty-first of December, two thousand"},
		{"2005-10-20", "二零零五年十月二十日", "the twentieth of October, two thousand and five"},
		{"1999-01-01", "一九九九年一月一日", "the first of January, nineteen ninety-nine"},
		{"1905-01-12", "一九零五年一月十二日", "the twelfth of January, nineteen oh five"},
		{"1900-01-12", "一九零零年一月十二日", "the twelfth of January, nineteen hundred"},
		{"2110-01-12", "二一一零年一月十二日", "the twelfth of January, twenty-one ten"},
	} {
		day, err := time.Parse(time.DateOnly, tt.day)
		if err != nil {
			t.Fatal(err)
		}
		if zh, en := In(Chinese).Date(day), In(English).Date(day); zh != tt.zh || en != tt.en {
			t.Errorf("%s = %s, %q", tt.day, zh, en)
		}
	}
}

func TestAmount(t *testing.T) {
	for _, tt := range []struct{ amount, currency, zh, en string }{
		{"0", "CNY", "零元", "zero yuan"},
		{"2", "CNY", "两元", "two yuan"},
		{"12", "cny", "十二元", "twelve yuan"},
		{"123.45", "CNY", "一百二十三元四角五分", "one hundred and twenty-three point four five yuan"},
		{"123.40", "RMB", "一百二十三元四角", "one hundred and twenty-three point four yuan"},
		{"100.05", "CNY", "一百元零五分", "one hundred point zero five yuan"},
		{"0.5", "CNY", "五角", "zero point five yuan"},
		{"0.02", "CNY", "两分", "zero point zero two yuan"},
		{"12.22", "CNY", "十二元两角二分", "twelve point two two yuan"},
		{"1.005", "CNY", "一点零零五元", "one point zero zero five yuan"},
		{"-8.80", "CNY", "负八元八角", "minus eight point eight yuan"},
		{"1", "USD", "一美元", "one dollar"},
		{"1.01", "USD", "一点零一美元", "one dollar and one cent"},
		{"2.50", "USD", "二点五美元", "two dollars and fifty cents"},
		{"0.99", "GBP", "零点九九英镑", "ninety-nine pence"},
		{"-0.00", "EUR", "零欧元", "zero euros"},
		{"5000", "JPY", "五千日元", "five thousand yen"},
		{"1000000000000", "USD", "一万亿美元", "one trillion dollars"},
		{"7", "CHF", "七 C H F", "seven C H F"},
	} {
		zh, err := In(Chinese).Amount(tt.amount, tt.currency)
		en, err2 := In(English).Amount(tt.amount, tt.currency)
		if err != nil || err2 != nil || zh != tt.zh || en != tt.en {
			t.Errorf("%s %s = %s, %q, %v, %v", tt.amount, tt.currency, zh, en, err, err2)
		}
	}
	for _, bad := range []string{"", "-", ".5", "5.", "1e3", "1,000", "--1", "一", "NaN", "1.2.3", "9999999999999999999"} {
		if got, err := In(English).Amount(bad, "USD"); err == nil {
			t.Errorf("%q was read as %q", bad, got)
		}
	}
	if got, _ := In(Chinese).Decimal("-12.50"); got != "负十二点五" {
		t.Errorf("-12.50 = %s", got)
	}
}

// Everything spoken values are made of stands in words.yaml, so that it can be recorded.
func TestWordListsAreComplete(t *testing.T) {
	books, err := sounds.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range books {
		w := In(Lang(b.Lang))
		var all []string
		for _, n := range []int64{0, 2, 7, 10, 11, 13, 14, 15, 16, 17, 18, 19, 21, 30, 42, 53, 64, 75, 86, 97, 108, 2000, 20000, 3e6, 4e9, 5e12, 6e15, math.MinInt64} {
			all = append(all, w.Number(n), w.Ordinal(max(n, 1)), w.Count(n))
		}
		for d := time.Duration(0); d < 3*time.Hour; d += 41 * time.Second {
			all = append(all, w.Duration(d), w.Exact(d))
		}
		for at := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2031; at = at.Add(25*time.Hour + 31*time.Minute) {
			all = append(all, w.Clock(at), w.Date(at))
		}
		for code := range currencies {
			for _, amount := range []string{"0.01", "1", "-22.22", "1.01", "2.5", "3.123"} {
				text, _ := w.Amount(amount, code)
				all = append(all, text)
			}
		}
		all = append(all, w.Phone("+1234567890*#"), w.Digits("1"))
		for _, text := range all {
			if _, ok := pieces(b.Words, text); !ok {
				t.Fatalf("%s: %q has a word that is not in words.yaml", b.Lang, text)
			}
		}
	}
}
