package settings

import (
	"slices"

	"tinyforge/db"
)

// route is an address, who may use it, and what it does.
type route struct {
	pattern string
	needs   db.Role // "" is open to everybody
	do      func(*visit) error
}

// typed tells of routes to which somebody sends what took a while to type. They may show it again: they do nothing with a form
// that is not valid.
func (rt route) typed() bool {
	switch rt.pattern {
	case "POST /settings", "POST /settings/tokens", "POST /settings/users", "POST /settings/users/{id}", "POST /settings/sign-in/{id}",
		"POST /settings/networks", "POST /settings/retention",
		"POST /workloads", "POST /workloads/{name}/settings", "POST /workloads/{name}/delete",
		"POST /forges/new/github", "POST /forges/new/gitea", "POST /forges/new/gitlab", "POST /forges/{id}/edit", "POST /forges/{id}/delete":
		return true
	}
	return false
}

// routes are all pages. A handler is in the file that is named after the noun.
func (s *Settings) routes() []route {
	return slices.Concat(signInRoutes(), settingsRoutes(), workloadRoutes(), forgeRoutes(), []route{
		{"GET /{$}", "", (*visit).home},
		{"GET /start", db.Viewer, (*visit).start},
		{"GET /about", db.Viewer, (*visit).about},
		{"GET /audit", db.Administrator, (*visit).auditLog},
		{"GET /audit.csv", db.Administrator, (*visit).auditCSV},
	})
}

// signInRoutes are for people who are not signed in yet.
func signInRoutes() []route {
	return []route{
		{"GET /setup", "", (*visit).setupForm},
		{"POST /setup", "", (*visit).setup},
		{"GET /sign-in", "", (*visit).signInForm},
		{"POST /sign-in", "", (*visit).signIn},
		{"POST /sign-out", "", (*visit).signOut},
		{"POST /language", "", (*visit).setLanguage},
		{"GET /sign-in/with/{forge}", "", (*visit).askForge},
		{"GET /sign-in/callback", "", (*visit).forgeAnswered},
	}
}

func settingsRoutes() []route {
	return []route{
		{"GET /settings", db.Viewer, (*visit).generalForm},
		{"POST /settings", db.Viewer, (*visit).saveGeneral},
		{"GET /settings/password", db.Viewer, (*visit).passwordForm},
		{"POST /settings/password", db.Viewer, (*visit).savePassword},
		{"GET /settings/sessions", db.Viewer, (*visit).sessions},
		{"POST /settings/sessions/{id}/end", db.Viewer, (*visit).endSession},
		{"POST /settings/sessions/end-others", db.Viewer, (*visit).endOtherSessions},
		{"GET /settings/tokens", db.Viewer, (*visit).tokens},
		{"POST /settings/tokens", db.Viewer, (*visit).makeToken},
		{"POST /settings/tokens/{id}/end", db.Viewer, (*visit).endToken},
		{"GET /settings/users", db.Administrator, (*visit).users},
		{"POST /settings/users", db.Administrator, (*visit).addUser},
		{"GET /settings/users/new", db.Administrator, (*visit).newUser},
		{"GET /settings/users/{id}", db.Administrator, (*visit).userForm},
		{"POST /settings/users/{id}", db.Administrator, (*visit).saveUser},
		{"POST /settings/users/{id}/link", db.Administrator, (*visit).makeLink},
		{"POST /settings/users/{id}/end-sessions", db.Administrator, (*visit).endUsersSessions},
		{"POST /settings/users/{id}/remove", db.Administrator, (*visit).removeUser},
		{"GET /settings/sign-in/{id}", db.Administrator, (*visit).signInForgeForm},
		{"POST /settings/sign-in/{id}", db.Administrator, (*visit).saveSignInForge},
		{"GET /settings/proxy", db.Administrator, (*visit).proxy},
		{"GET /settings/networks", db.Administrator, (*visit).networksForm},
		{"POST /settings/networks", db.Administrator, (*visit).saveNetworks},
		{"GET /settings/retention", db.Administrator, (*visit).retentionForm},
		{"POST /settings/retention", db.Administrator, (*visit).saveRetention},
		{"POST /settings/retention/tidy", db.Administrator, (*visit).tidy},
	}
}

func workloadRoutes() []route {
	return []route{
		{"GET /workloads", db.Viewer, (*visit).workloads},
		{"GET /events", db.Viewer, (*visit).overviewEvents},
		{"GET /workloads/{name}", db.Viewer, (*visit).workload},
		{"GET /workloads/{name}/events", db.Viewer, (*visit).workloadEvents},
		{"POST /workloads/{name}/deploy", db.Deployer, (*visit).deployNow},
		{"POST /workloads/{name}/scale", db.Deployer, (*visit).scale},
		{"GET /workloads/{name}/rollback", db.Deployer, (*visit).rollbackForm},
		{"POST /workloads/{name}/rollback", db.Deployer, (*visit).rollback},
		{"GET /workloads/{name}/deployments", db.Viewer, (*visit).history},
		{"GET /workloads/{name}/deployments/{number}", db.Viewer, (*visit).deployment},
		{"GET /workloads/{name}/deployments/{number}/events", db.Viewer, (*visit).deploymentEvents},
		{"GET /workloads/{name}/deployments/{number}/log.txt", db.Viewer, (*visit).logText},
		{"POST /workloads/{name}/deployments/{number}/cancel", db.Deployer, (*visit).cancel},
		{"POST /workloads/{name}/deployments/{number}/redeploy", db.Deployer, (*visit).redeploy},
		{"GET /deployments/{number}", db.Viewer, (*visit).permanentLink},
		{"GET /workloads/new", db.Administrator, (*visit).newWorkload},
		{"POST /workloads", db.Administrator, (*visit).createWorkload},
		{"GET /workloads/{name}/settings", db.Administrator, (*visit).workloadSettings},
		{"POST /workloads/{name}/settings", db.Administrator, (*visit).saveWorkload},
		{"GET /workloads/{name}/env", db.Administrator, (*visit).workloadEnv},
		{"POST /workloads/{name}/pause", db.Deployer, (*visit).pauseWorkload},
		{"POST /workloads/{name}/resume", db.Deployer, (*visit).resumeWorkload},
		{"GET /workloads/{name}/delete", db.Administrator, (*visit).deleteWorkloadForm},
		{"POST /workloads/{name}/delete", db.Administrator, (*visit).deleteWorkload},
	}
}

func forgeRoutes() []route {
	return []route{
		{"GET /forges", db.Viewer, (*visit).forges},
		{"GET /forges/new", db.Administrator, (*visit).newForge},
		{"GET /forges/new/github", db.Administrator, (*visit).newGitHub},
		{"POST /forges/new/github", db.Administrator, (*visit).beginGitHub},
		{"GET /forges/new/github/{id}", db.Administrator, (*visit).register},
		{"POST /forges/new/github/{id}/renew", db.Administrator, (*visit).renewRequest},
		{"POST /forges/new/github/{id}/retry", db.Administrator, (*visit).retryConvert},
		{"POST /forges/new/github/{id}/delete", db.Administrator, (*visit).deleteRequest},
		{"GET /forges/github/created", db.Administrator, (*visit).created},
		{"GET /forges/github/installed", db.Administrator, (*visit).installed},
		{"GET /forges/new/gitea", db.Administrator, (*visit).newGitea},
		{"POST /forges/new/gitea", db.Administrator, (*visit).connectGitea},
		{"GET /forges/new/gitlab", db.Administrator, (*visit).newGitLab},
		{"POST /forges/new/gitlab", db.Administrator, (*visit).connectGitLab},
		{"GET /forges/{id}", db.Viewer, (*visit).forge},
		{"POST /forges/{id}/resync", db.Administrator, (*visit).resync},
		{"POST /forges/{id}/missed", db.Deployer, (*visit).missed},
		{"GET /forges/{id}/edit", db.Administrator, (*visit).forgeEdit},
		{"POST /forges/{id}/edit", db.Administrator, (*visit).saveForge},
		{"POST /forges/{id}/rotate", db.Administrator, (*visit).rotate},
		{"GET /forges/{id}/delete", db.Administrator, (*visit).deleteForgeForm},
		{"POST /forges/{id}/delete", db.Administrator, (*visit).deleteForge},
		{"GET /deliveries/{id}", db.Viewer, (*visit).delivery},
	}
}
