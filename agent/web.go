package agent

import (
	"fmt"
	"net/http"

	"tapline/agent/localapi"
	"tapline/agent/panel"
)

// newAPI makes the local API: the socket for programs, and the loopback listener for browsers.
func (a *Agent) newAPI() *localapi.Server {
	return localapi.New(localapi.Config{
		Socket: a.cfg.Socket, Station: a, Listen: a.cfg.Web.Listen, Hosts: a.cfg.Web.Hosts, Page: a.page, Metrics: a.metrics.handler(), Log: a.log.Named("local"),
	})
}

// page is what a browser sees at /. Requests of the page that change something carry token in the header localapi.TokenHeader.
// While the station is to have no panel, there is none.
func (a *Agent) page(token string) http.Handler {
	page := a.web.Handler(token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.settings().Panel == "none" {
			http.NotFound(w, r)
			return
		}
		page.ServeHTTP(w, r)
	})
}

// openPage makes the panel's page.
func (a *Agent) openPage() (err error) {
	a.web, err = panel.NewWeb(panel.WebConfig{Station: a, Language: a.cfg.Web.Language, Muted: !a.cfg.Web.Sounds})
	return err
}

// check gives everything that is wrong with the listener for browsers.
func (w Web) check() []error {
	var faults []error
	if err := localapi.CheckListen(w.Listen); err != nil {
		faults = append(faults, fmt.Errorf("web.listen %q: %w", w.Listen, err))
	}
	for i, name := range w.Hosts {
		if err := localapi.CheckHost(name); err != nil {
			faults = append(faults, fmt.Errorf("web.hosts[%d] %q: %w", i, name, err))
		}
	}
	if err := panel.CheckLanguage(w.Language); err != nil {
		faults = append(faults, fmt.Errorf("web.language %w", err))
	}
	return faults
}
