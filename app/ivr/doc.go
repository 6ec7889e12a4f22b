// Package ivr speaks with callers whom no person has taken yet.
//
// A flow is a [Document]: welcome, choice of language, opening hours, menus, and the actions that keys lead to. Documents are
// written in YAML, checked when they are saved (each fault with its line), and compiled into a [Tree], which is the
// call.Flow that a live call asks for its next step. A Tree keeps nothing: where a caller is stands in the call's record, so a
// caller in a menu hears the same node again after a restart.
package ivr
