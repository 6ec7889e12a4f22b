// Package monitor is what supervisors do with calls that go on now: see them on a board, and listen, whisper or barge in.
package monitor
