package panel

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// asset is a file of the page. Its name holds the hash of what it is, so that a browser may keep it for ever.
type asset struct {
	body []byte
	kind string
}

type assets struct {
	byName map[string]asset  // by the name with the hash
	names  map[string]string // from the plain name to the one with the hash
	build  string
}

// loadAssets reads the files that the page is made of. The build is a hash of all of them, templates and catalogues included.
func loadAssets() (assets, error) {
	a := assets{byName: map[string]asset{}, names: map[string]string{}}
	all := sha256.New()
	for _, tree := range []fs.FS{pageFiles, languageFiles} {
		err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := fs.ReadFile(tree, name)
			if err != nil {
				return err
			}
			_, _ = all.Write(body)
			a.add(path.Base(name), body)
			return nil
		})
		if err != nil {
			return assets{}, err
		}
	}
	a.build = hex.EncodeToString(all.Sum(nil)[:8])
	return a, nil
}

func (a assets) add(name string, body []byte) {
	kinds := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	ext := path.Ext(name)
	kind, ok := kinds[ext]
	if !ok {
		return // templates and catalogues stay here
	}
	sum := sha256.Sum256(body)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext
	a.names[name] = hashed
	a.byName[hashed] = asset{body, kind}
}

// run names a run of the agent with this page: a page of another run, or made of other files, loads itself again. It tells nothing of the token.
func (a assets) run(token string) string {
	sum := sha256.Sum256([]byte(a.build + " " + token))
	return hex.EncodeToString(sum[:8])
}

// path is where a file of the page is found.
func (a assets) path(name string) string { return "/panel/assets/" + a.names[name] }

func (a assets) serve(out http.ResponseWriter, r *http.Request) {
	one, ok := a.byName[r.PathValue("name")]
	if !ok {
		http.NotFound(out, r)
		return
	}
	h := out.Header()
	h.Set("Content-Type", one.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = out.Write(one.body)
}
