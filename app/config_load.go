package app

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
	"gopkg.in/yaml.v3"
)

const envPrefix = "CALLPLANE_"

// envElsewhere are variables with our prefix that are no settings.
var envElsewhere = []string{"CALLPLANE_CONFIG", "CALLPLANE_URL", "CALLPLANE_TOKEN", "CALLPLANE_SANDBOX", "CALLPLANE_BENCH", "CALLPLANE_IT", "CALLPLANE_TEST_"}

// Load reads the defaults, the file (none if path is empty) and the environment (as os.Environ gives it), and checks the
// result. The error joins everything that is wrong, each with the key, and the line if it is in the file.
func Load(path string, environ []string) (Config, error) {
	k := koanf.New(".")
	if err := k.Load(structs.Provider(Defaults(), "koanf"), nil); err != nil {
		return Config{}, fmt.Errorf("defaults: %w", err)
	}
	var faults []error
	if path != "" {
		raw, err := os.ReadFile(path)
		if err != nil {
			return Config{}, fmt.Errorf("read settings: %w", err)
		}
		var root yaml.Node
		if err := yaml.Unmarshal(raw, &root); err != nil {
			return Config{}, fmt.Errorf("%s: %w", path, err)
		}
		if len(root.Content) > 0 {
			faults = append(faults, checkKeys(path, root.Content[0], reflect.TypeFor[Config](), "")...)
			if err := errors.Join(faults...); err != nil {
				return Config{}, err
			}
			var m map[string]any
			if err := root.Content[0].Decode(&m); err != nil {
				return Config{}, fmt.Errorf("%s: %w", path, err)
			}
			for name, v := range m {
				if v == nil { // a section whose lines are all comments changes nothing
					delete(m, name)
				}
			}
			if err := k.Load(parsed(m), nil); err != nil {
				return Config{}, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	faults = append(faults, loadEnv(k, environ)...)
	faults = append(faults, loadSecrets(k)...)
	if err := errors.Join(faults...); err != nil {
		return Config{}, err
	}
	var c Config
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		TagName: "koanf", ErrorUnused: true, WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(readDuration, readList, readMap),
	}})
	if err != nil {
		return Config{}, fmt.Errorf("settings: %w", err)
	}
	return c, c.Check()
}

// parsed is a koanf.Provider of what was read already.
type parsed map[string]any

// Read gives the settings.
func (p parsed) Read() (map[string]any, error) { return p, nil }

// ReadBytes is not asked for: there is no parser.
func (parsed) ReadBytes() ([]byte, error) { return nil, errors.ErrUnsupported }

// checkKeys finds keys in a YAML mapping that the type does not have.
func checkKeys(path string, n *yaml.Node, t reflect.Type, prefix string) (faults []error) {
	at := func(n *yaml.Node, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s:%d: %s", path, n.Line, fmt.Sprintf(format, args...)))
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		if n.Kind != yaml.SequenceNode {
			at(n, "%s must be a list", prefix)
			return faults
		}
		for _, item := range n.Content {
			faults = append(faults, checkKeys(path, item, t.Elem(), prefix)...)
		}
	case t.Kind() == reflect.Struct:
		if n.Kind != yaml.MappingNode {
			if n.Tag != "!!null" {
				at(n, "%s must have settings below it", prefix)
			}
			return faults
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			field, ok := fieldOf(t, name)
			if !ok {
				at(n.Content[i], "there is no setting %s%s", join(prefix, name), meant(name, t, prefix))
				continue
			}
			faults = append(faults, checkKeys(path, n.Content[i+1], field.Type, join(prefix, name))...)
		}
	}
	return faults
}

// fieldOf finds the setting of that name; name_file is the file of a secret one.
func fieldOf(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("koanf")
		if tag == name || f.Tag.Get("secret") != "" && tag+"_file" == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// meant suggests a setting: one beside it that is spelt alike, or one of the same name elsewhere.
func meant(name string, t reflect.Type, prefix string) string {
	best, distance := "", 3
	for i := range t.NumField() {
		tag := t.Field(i).Tag.Get("koanf")
		if d := apart(name, tag); d < distance {
			best, distance = join(prefix, tag), d
		}
	}
	if best == "" {
		for _, key := range keys(reflect.TypeFor[Config](), "") {
			if strings.HasSuffix(key, "."+name) {
				best = key
			}
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// apart is how many letters must be changed, added or dropped to get from a to b.
func apart(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// keys lists all settings: http.listen. Those of a list have a # for the position: switches.#.name.
func keys(t reflect.Type, prefix string) (list []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key := join(prefix, f.Tag.Get("koanf"))
		switch {
		case f.Type.Kind() == reflect.Struct:
			list = append(list, keys(f.Type, key)...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			list = append(list, keys(f.Type.Elem(), key+".#")...)
		default:
			list = append(list, key)
			if f.Tag.Get("secret") != "" {
				list = append(list, key+"_file")
			}
		}
	}
	return list
}

var (
	position = regexp.MustCompile(`_[0-9]+_`)
	listItem = regexp.MustCompile(`^(\w+)\.([0-9]+)\.(\w+)$`)
)

// loadEnv puts the environment's settings in. A variable with our prefix that is no setting is refused.
func loadEnv(k *koanf.Koanf, environ []string) (faults []error) {
	byName := map[string]string{}
	for _, key := range keys(reflect.TypeFor[Config](), "") {
		byName[envPrefix+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))] = key
	}
	var items [][2]string // of lists, which koanf cannot set one by one
	err := k.Load(env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			for _, other := range envElsewhere {
				if name == other || strings.HasSuffix(other, "_") && strings.HasPrefix(name, other) {
					return "", nil
				}
			}
			pattern := position.ReplaceAllString(name, "_#_")
			key, ok := byName[pattern]
			switch {
			case !ok:
				hint := ""
				best := 4
				for known := range byName {
					if d := apart(name, known); d < best || d == best && best < 4 && known < hint {
						hint, best = known, d
					}
				}
				if hint != "" {
					hint = "; did you mean " + hint + "?"
				}
				faults = append(faults, fmt.Errorf("environment: %s is no setting%s", name, hint))
				return "", nil
			case pattern != name:
				n := strings.Trim(position.FindString(name), "_")
				items = append(items, [2]string{strings.Replace(key, "#", n, 1), value})
				return "", nil
			}
			return key, value
		},
	}), nil)
	if err != nil {
		faults = append(faults, fmt.Errorf("environment: %w", err))
	}
	slices.SortFunc(items, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	for _, it := range items {
		m := listItem.FindStringSubmatch(it[0])
		n, err := strconv.Atoi(m[2])
		list, _ := k.Get(m[1]).([]any)
		if err != nil || n > len(list) {
			faults = append(faults, fmt.Errorf("environment: %s: the list has %d before it", it[0], len(list)))
			continue
		}
		if n == len(list) {
			list = append(slices.Clone(list), map[string]any{})
		}
		if item, ok := list[n].(map[string]any); ok {
			item[m[3]] = it[1]
		}
		if err := k.Set(m[1], list); err != nil {
			faults = append(faults, fmt.Errorf("environment: %s: %w", it[0], err))
		}
	}
	return faults
}

// loadSecrets reads the files named by settings that end in _file.
func loadSecrets(k *koanf.Koanf) (faults []error) {
	read := func(key, path string) (string, bool) {
		raw, err := os.ReadFile(path)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s_file: %w", key, err))
			return "", false
		}
		return strings.TrimRight(string(raw), "\r\n"), true
	}
	for _, key := range keys(reflect.TypeFor[Config](), "") {
		name, isFile := strings.CutSuffix(key, "_file")
		if !isFile {
			continue
		}
		list, leaf, inList := strings.Cut(name, ".#.")
		if !inList {
			if path := k.String(key); path != "" {
				if text, ok := read(name, path); ok {
					faults = append(faults, k.Set(name, text))
				}
			}
			k.Delete(key)
			continue
		}
		items, _ := k.Get(list).([]any)
		for i, item := range items {
			if m, ok := item.(map[string]any); ok && m[leaf+"_file"] != nil {
				if text, ok := read(fmt.Sprintf("%s.%d.%s", list, i, leaf), fmt.Sprint(m[leaf+"_file"])); ok {
					m[leaf] = text
				}
				delete(m, leaf+"_file")
			}
		}
		if len(items) > 0 {
			faults = append(faults, k.Set(list, items))
		}
	}
	return faults
}

func readDuration(from, to reflect.Type, v any) (any, error) {
	if to != reflect.TypeFor[time.Duration]() || from == to {
		return v, nil
	}
	if s, ok := v.(string); ok {
		if s == "0" {
			return time.Duration(0), nil
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			return nil, fmt.Errorf("%q is no duration; write 30s, 15m or 4h", s)
		}
		return d, nil
	}
	if n, ok := v.(int); ok && n == 0 {
		return time.Duration(0), nil
	}
	return nil, fmt.Errorf("%v is no duration; write 30s, 15m or 4h", v)
}

func readList(_, to reflect.Type, v any) (any, error) {
	s, ok := v.(string)
	if !ok || to != reflect.TypeFor[[]string]() {
		return v, nil
	}
	list := []string{}
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list, nil
}

func readMap(_, to reflect.Type, v any) (any, error) {
	s, ok := v.(string)
	if !ok || to != reflect.TypeFor[map[string]string]() {
		return v, nil
	}
	m := map[string]string{}
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not name=value", part)
		}
		m[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return m, nil
}
