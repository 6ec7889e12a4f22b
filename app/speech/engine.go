package speech

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// An Engine turns text into sound. It is used by several goroutines at once.
type Engine interface {
	// Name says what makes the sound: all settings that change it. It is part of what a cached file is named by.
	Name() string
	// Synthesise returns a WAV file of any rate and channels; the library converts it. It obeys ctx.
	Synthesise(ctx context.Context, say Utterance) ([]byte, error)
}

// An Utterance is what an engine is asked to say.
type Utterance struct {
	Text  string
	Lang  Lang
	Voice string  // as the engine names it; empty is the engine's choice for the language
	Rate  float64 // characters (Chinese) or words each minute, pauses included; 0 is the engine's own. A wish
}

// Settings choose and tune the engine.
type Settings struct {
	Engine         string  `yaml:"engine"`  // espeak (default), command, http, or none
	Command        string  `yaml:"command"` // for command: program and arguments, in which {text} {lang} {voice} {rate} {out} are filled in
	URL            string  `yaml:"url"`     // for http: as far as /v1
	Key            string  `yaml:"key"`     // for http: bearer token; empty sends none
	Model          string  `yaml:"model"`   // for http; default tts-1
	VoiceZH        string  `yaml:"voice_zh"`
	VoiceEN        string  `yaml:"voice_en"`
	Rate           float64 `yaml:"rate"`            // Chinese characters a minute: default 120, 60 to 400; negative is the engine's own
	RateEN         float64 `yaml:"rate_en"`         // English words a minute: default 130, 60 to 400; negative is the engine's own
	TimeoutSeconds int     `yaml:"timeout_seconds"` // for one synthesis; default 20, 1 to 120
}

// NewEngine makes the engine the settings name. It does not need to be installed yet: that shows when it is used.
func NewEngine(s Settings) (Engine, error) {
	switch s.Engine {
	case "", "espeak", "espeak-ng":
		return Espeak{}, nil
	case "command":
		args, err := split(s.Command)
		if err != nil || len(args) == 0 {
			return nil, fmt.Errorf("speech.command %q must name a program: %v", s.Command, err)
		}
		return Command{Args: args}, nil
	case "http":
		if !strings.HasPrefix(s.URL, "http://") && !strings.HasPrefix(s.URL, "https://") {
			return nil, fmt.Errorf("speech.url %q must begin with http:// or https://", s.URL)
		}
		return &HTTP{URL: s.URL, Key: s.Key, Model: s.Model}, nil
	case "none":
		return None{}, nil
	}
	return nil, fmt.Errorf("speech.engine %q must be espeak, command, http or none", s.Engine)
}

func (s Settings) timeout() time.Duration {
	if s.TimeoutSeconds <= 0 {
		return 20 * time.Second
	}
	return min(time.Duration(s.TimeoutSeconds), 120) * time.Second
}

func (s Settings) voice(l Lang) string {
	if l.Base() == "zh" {
		return s.VoiceZH
	}
	if l.Base() == "en" {
		return s.VoiceEN
	}
	return ""
}

func (s Settings) rate(l Lang) float64 {
	rate, usual := s.RateEN, 130.0
	if l.Base() == "zh" {
		rate, usual = s.Rate, 120
	}
	switch {
	case rate == 0:
		return usual
	case rate < 0:
		return 0
	}
	return min(max(rate, 60), 400)
}

// None makes no sound: only uploaded prompts and tones play.
type None struct{}

func (None) Name() string                                          { return "none" }
func (None) Synthesise(context.Context, Utterance) ([]byte, error) { return nil, ErrNoEngine }

// Command runs a program for each text. Without {text} among the arguments the text is its standard input; without
// {out} the WAV file is its standard output. No shell is involved.
type Command struct{ Args []string }

func (c Command) Name() string { return "command " + strings.Join(c.Args, "\x00") }

func (c Command) Synthesise(ctx context.Context, say Utterance) ([]byte, error) {
	text := say.Text
	if strings.HasPrefix(text, "-") { // must not be taken for an option
		text = " " + text
	}
	out := ""
	if strings.Contains(strings.Join(c.Args, " "), "{out}") {
		dir, err := os.MkdirTemp("", "callplane-speech-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		out = dir + "/out.wav"
	}
	stdin := text
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		if strings.Contains(a, "{text}") {
			stdin = ""
		}
		args[i] = strings.NewReplacer("{text}", text, "{lang}", string(say.Lang), "{voice}", say.Voice,
			"{rate}", fmt.Sprint(int(say.Rate)), "{out}", out).Replace(a)
	}
	made, err := run(ctx, stdin, args[0], args[1:]...)
	if err != nil || out == "" {
		return made, err
	}
	return os.ReadFile(out)
}

// split parts a command line at spaces, except within '…' or "…".
func split(line string) (args []string, err error) {
	var word strings.Builder
	var quote rune
	in := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, in = r, true
		case r == ' ' || r == '\t':
			if in {
				args = append(args, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a %c is not closed", quote)
	}
	if in {
		args = append(args, word.String())
	}
	return args, nil
}
