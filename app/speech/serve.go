package speech

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"regexp"
	"strings"
)

var fileForm = regexp.MustCompile(`^([0-9a-f]{32})\.wav$`)

// URL is where the switch fetches the item: base + /prompts/<token>/<lang>/<name>.wav. The token proves that we named the
// file. The name changes with the sound, so the switch may keep the file. The file must be there when the switch asks:
// call File before, or use URLs. It is empty for an item that does not exist.
func (l *Library) URL(base string, item Item) string {
	r, err := l.recipe(item)
	if err != nil {
		return ""
	}
	path := string(r.lang) + "/" + r.name + ".wav"
	return strings.TrimRight(base, "/") + "/prompts/" + l.token(path) + "/" + path
}

// URLs makes what is missing and returns the addresses in order. What cannot be made within Options.Wait is left out
// and logged: the call goes on without it. The files are on this node, so base must lead here.
func (l *Library) URLs(ctx context.Context, base string, items ...Item) []string {
	ctx, cancel := context.WithTimeout(ctx, l.opt.Wait)
	defer cancel()
	var urls []string
	for _, item := range items {
		if _, err := l.File(ctx, item); err != nil {
			l.skip.Add(1)
			l.opt.Log.WarnContext(ctx, "prompt left out", "module", "speech", "lang", item.Lang, "key", item.Key, "err", err)
			continue
		}
		urls = append(urls, l.URL(base, item))
	}
	return urls
}

// Skipped counts the prompts left out of calls since the start.
func (l *Library) Skipped() int64 { return l.skip.Load() }

func (l *Library) token(path string) string {
	mac := hmac.New(sha256.New, l.opt.Secret)
	mac.Write([]byte("prompt " + path))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// Handler serves the files under /prompts/. It only reads what is on disk: it never makes sound and never waits, for a
// switch may hang with the server. Every answer that has a file has an ETag and a max-age; anything else is 404.
func (l *Library) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		rest, ok := strings.CutPrefix(req.URL.Path, "/prompts/")
		parts := strings.Split(rest, "/")
		if !ok || len(parts) != 3 || len(l.opt.Secret) == 0 || !tag.MatchString(parts[1]) || !fileForm.MatchString(parts[2]) ||
			!hmac.Equal([]byte(parts[0]), []byte(l.token(parts[1]+"/"+parts[2]))) {
			http.NotFound(w, req)
			return
		}
		name := strings.TrimSuffix(parts[2], ".wav")
		file, err := os.Open(l.files.path(Lang(parts[1]), name))
		if err != nil {
			http.NotFound(w, req)
			return
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Type", "audio/wav")
		w.Header().Set("ETag", `"`+name+`"`)
		w.Header().Set("Cache-Control", "private, max-age=86400")
		http.ServeContent(w, req, "", info.ModTime(), file)
	})
}
