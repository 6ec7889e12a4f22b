// Package speech turns words and values into sound a caller hears.
//
// [In] puts values into words, correctly in Chinese and English: numbers, places in a queue, waits, dates,
// money. A [Library] turns an [Item] (a prompt by its key, or any text) into a WAV file of 8 kHz, 16 bit, mono,
// made by an [Engine] on first use and kept by what it was made from. A recording uploaded for a key takes the
// place of the synthesised prompt. [Library.Handler] serves the files to the switch.
//
// A spoken value is one sentence, made and kept whole ("您现在排在第三位。"), because joined pieces sound broken.
// A prompt that cannot be made is left out and logged; a call never fails for it.
package speech

import "errors"

// What can be wrong with an item. Test with errors.Is.
var (
	ErrNoEngine = errors.New("no speech engine: run apt-get install -y espeak-ng, or choose another engine in the settings")
	ErrNoPrompt = errors.New("no such prompt")
	ErrNoText   = errors.New("nothing to say")
	ErrTooLong  = errors.New("too long")
	ErrAudio    = errors.New("not a sound file we can read")
	ErrClosed   = errors.New("speech is shut down")
	ErrBusy     = errors.New("the speech engine failed several times and is left alone for a moment")
)
