// Package problem is the one error that people outside read: RFC 9457 problem details.
//
// A package names each problem once, as a variable, so that callers can test for it with errors.Is and the desktop can
// translate it by its name:
//
//	var ErrQueueOpen = problem.New(problem.Conflict, "queue_open", "Queue already open")
//	return ErrQueueOpen.With("%s is open already.", q.Name)
package problem

import (
	"fmt"
	"net/http"
)

// Kind is the class of a problem, given as the HTTP status it is answered with.
type Kind int

// The classes in use.
const (
	Invalid      Kind = http.StatusUnprocessableEntity
	BadRequest   Kind = http.StatusBadRequest
	Unauthorized Kind = http.StatusUnauthorized
	Forbidden    Kind = http.StatusForbidden
	NotFound     Kind = http.StatusNotFound
	Conflict     Kind = http.StatusConflict
	TooMany      Kind = http.StatusTooManyRequests
	Unavailable  Kind = http.StatusServiceUnavailable
	Internal     Kind = http.StatusInternalServerError
)

// Problem is an error with a stable name. Two problems of one name are the same to errors.Is, whatever their detail.
type Problem struct {
	Kind   Kind
	Name   string  // snake_case, unique: the last part of the type URI, and the desktop's message key
	Title  string  // what it is, the same each time
	Detail string  // what happened this time, for people
	Fields []Field // the faulty fields of a request, if any
}

// Field is one faulty field.
type Field struct {
	Pointer string `json:"pointer" doc:"Which field, as a path: body.ring_seconds"`
	Name    string `json:"name" doc:"Stable name of the fault, such as required or out_of_range"`
	Detail  string `json:"detail" doc:"What is wrong, for people"`
}

// New names a problem. It is for package variables.
func New(kind Kind, name, title string) *Problem {
	return &Problem{Kind: kind, Name: name, Title: title}
}

// Error is the detail if there is one, else the title.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// Is makes errors.Is compare problems by name.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Name == p.Name
}

// With returns a copy that says what happened this time.
func (p *Problem) With(format string, args ...any) *Problem {
	c := *p
	c.Detail = fmt.Sprintf(format, args...)
	return &c
}

// At returns a copy that names a faulty field as well.
func (p *Problem) At(pointer, name, format string, args ...any) *Problem {
	c := *p
	c.Fields = append(append([]Field(nil), p.Fields...), Field{pointer, name, fmt.Sprintf(format, args...)})
	if c.Detail == "" {
		c.Detail = pointer + ": " + c.Fields[len(c.Fields)-1].Detail
	}
	return &c
}

// ErrInvalid is a request with faulty fields.
var ErrInvalid = New(Invalid, "invalid", "The request is not valid")

// ErrNotFound is a thing that is not there, or not for the asker to see.
var ErrNotFound = New(NotFound, "not_found", "Not found")

// ErrForbidden is something the asker may not do.
var ErrForbidden = New(Forbidden, "forbidden", "Not allowed")
