package app

import (
	"context"
	"fmt"

	"callplane/app/call"
	"callplane/app/pbx"
	"callplane/app/speech"
)

// voice lets calls speak: it turns a prompt into the address of a sound file that the switch fetches from us.
type voice struct {
	library *speech.Library
	base    string // where the switch reaches us: http://127.0.0.1:8080
}

// Media implements call.Voice.
func (v voice) Media(language string, p call.Prompt) (pbx.Media, error) {
	if p.Key == "tone/beep" {
		return "tone:beep", nil
	}
	lang := speech.Match(speech.Lang(language), v.library.Languages()...)
	say := speech.Say(lang)
	switch {
	case p.Position > 0:
		say.Position(p.Position)
	case p.Wait > 0:
		say.Wait(p.Wait)
	case p.Text != "":
		say.Text(p.Text)
	default:
		say.Prompt(p.Key)
	}
	urls := v.library.URLs(context.Background(), v.base, say.Items...) // bounded by the library's own limit
	if len(urls) == 0 {
		return "", fmt.Errorf("prompt %q cannot be spoken in %s", p.Key, lang)
	}
	return pbx.Media(urls[0]), nil
}
