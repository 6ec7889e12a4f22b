package api

import (
	"encoding/json"
	"reflect"
	"sync"
)

// noNilLists makes every nil slice in *v an empty one, so that lists are sent as [] and never as null, as the document
// says. It reaches through structs, pointers and slices, not into maps and interfaces, nor into types that write
// their own JSON.
func noNilLists(v any) { fill(reflect.ValueOf(v).Elem()) }

func fill(v reflect.Value) {
	if !hasLists(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem())
		}
	case reflect.Slice:
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	}
}

var (
	listTypes   sync.Map // reflect.Type to bool
	marshalType = reflect.TypeFor[json.Marshaler]()
)

// hasLists tells whether a value of the type can hold a slice that fill would reach.
func hasLists(t reflect.Type) bool {
	if known, ok := listTypes.Load(t); ok {
		return known.(bool)
	}
	has := findLists(t, map[reflect.Type]bool{})
	listTypes.Store(t, has)
	return has
}

func findLists(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || t.Implements(marshalType) || reflect.PointerTo(t).Implements(marshalType) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer:
		return findLists(t.Elem(), seen)
	case reflect.Slice:
		return t.Elem().Kind() != reflect.Uint8
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && findLists(f.Type, seen) {
				return true
			}
		}
	}
	return false
}
