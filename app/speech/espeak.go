package speech

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Espeak is the engine espeak-ng, which needs no network and takes about 20 ms for a sentence. It sounds plain: for
// callers who matter, upload recordings or set another engine.
//
// Chinese uses the voice cmn-latn-pinyin. The voice cmn of version 1.51 (Debian 12) turns characters into pinyin and
// then reads that as English: 您 becomes "nin two". Words with several readings are helped by a small list.
type Espeak struct {
	Program string // default espeak-ng, from PATH
}

func (e Espeak) Name() string { return "espeak-ng 2" } // count up when the sound changes

func (e Espeak) Synthesise(ctx context.Context, say Utterance) ([]byte, error) {
	if say.Lang.Base() != "zh" {
		voice := say.Voice
		if voice == "" {
			voice = espeakVoice(say.Lang)
		}
		return e.say(ctx, voice, speed(say.Rate, 0.95), say.Text)
	}
	// Latin words within Chinese are said by the English voice, joined behind one another.
	var all sound
	for _, part := range latin.FindAllStringSubmatch(zhPlain(say.Text), -1) {
		voice, wpm := say.Voice, speed(say.Rate, 0.88)
		if voice == "" {
			voice = "cmn-latn-pinyin"
		}
		text := zhReadings.Replace(part[1])
		if part[2] != "" {
			voice, wpm, text = "en", speed(say.Rate, 1.1), part[2]
		}
		if !spoken(text) {
			continue
		}
		file, err := e.say(ctx, voice, wpm, text)
		if err != nil {
			return nil, err
		}
		s, err := decode(file)
		if err != nil {
			return nil, err
		}
		s = resample(s, SampleRate)
		if all.samples != nil {
			s.samples = trim(s.samples)
		}
		all = sound{SampleRate, append(all.samples, s.samples...)}
	}
	if all.samples == nil {
		return nil, ErrNoText
	}
	return WAV(all.pcm()), nil
}

func (e Espeak) say(ctx context.Context, voice string, wpm int, text string) ([]byte, error) {
	program := e.Program
	if program == "" {
		program = "espeak-ng"
	}
	// [[ begins phonemes in its input; a text must not.
	text = strings.ReplaceAll(text, "[[", "[ [")
	file, err := run(ctx, text, program, "-v", voice, "-s", strconv.Itoa(wpm), "-b", "1", "--stdin", "--stdout")
	if errors.Is(err, exec.ErrNotFound) {
		return nil, ErrNoEngine
	}
	return file, err
}

// speed is espeak's -s, which it takes from 80 to 450, for a rate in characters or words a minute.
func speed(rate, factor float64) int {
	if rate <= 0 {
		return 160
	}
	return int(min(max(rate*factor, 80), 450))
}

// espeakVoice names the voice of a language: its base, which espeak knows for some hundred.
func espeakVoice(l Lang) string {
	switch b := l.Base(); {
	case b == "en" && strings.EqualFold(string(l), "en-US"):
		return "en-us"
	case plainTag.MatchString(b):
		return b
	}
	return "en"
}

var (
	plainTag = regexp.MustCompile(`^[a-z]{2,3}$`)
	latin    = regexp.MustCompile(`([^A-Za-z]+)|([A-Za-z](?:[A-Za-z '&.-]*[A-Za-z])?)`)
	figures  = regexp.MustCompile(`[0-9]+(?:\.[0-9]+)?%?`)
)

// zhPlain writes figures as characters, for this voice reads some wrongly (9 as xiǔ): short ones as numbers, long ones
// and those with a leading zero by digits.
func zhPlain(text string) string {
	return figures.ReplaceAllStringFunc(text, func(n string) string {
		number, percent := strings.CutSuffix(n, "%")
		whole, _, _ := strings.Cut(number, ".")
		say := zhDigits(number, false)
		if len(whole) <= 5 && (len(whole) == 1 || whole[0] != '0') {
			if said, err := In(Chinese).Decimal(number); err == nil {
				say = said
			}
		}
		if percent {
			say = "百分之" + say
		}
		return say
	})
}

// zhReadings gives the pinyin of words whose characters have another reading when they stand alone.
var zhReadings = strings.NewReplacer(
	"重听", " chong2 ting1 ", "重复", " chong2 fu4 ", "重新", " chong2 xin1 ", "重拨", " chong2 bo1 ", "重试", " chong2 shi4 ", "重录", " chong2 lu4 ",
	"银行", " yin2 hang2 ", "行业", " hang2 ye4 ", "音乐", " yin1 yue4 ", "节假日", " jie2 jia4 ri4 ", "假期", " jia4 qi1 ", "尽快", " jin3 kuai4 ", "尽量", " jin3 liang4 ",
	"更改", " geng1 gai3 ", "更新", " geng1 xin1 ", "更换", " geng1 huan4 ", "变更", " bian4 geng1 ", "还款", " huan2 kuan3 ", "归还", " gui1 huan2 ", "退还", " tui4 huan2 ", "处理", " chu3 li3 ",
	"调整", " tiao2 zheng3 ", "会计", " kuai4 ji4 ", "便宜", " pian2 yi5 ", "差错", " cha1 cuo4 ", "觉得", " jue2 de5 ", "效率", " xiao4 lv4 ", "增长", " zeng1 zhang3 ",
)

// spoken tells whether text has anything but punctuation.
func spoken(text string) bool { return units(text) > 0 }

// run starts a program with text as its input and returns its output. It is killed when ctx ends.
func run(ctx context.Context, stdin, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var out, problem bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &problem
	cmd.WaitDelay = time.Second // for children that keep the pipes open
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w", program, ctx.Err())
	}
	if err != nil {
		said := problem.String()
		return nil, fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(said[:min(len(said), 300)]))
	}
	return out.Bytes(), nil
}
