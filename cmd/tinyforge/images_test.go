package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// built returns for which releases of a Tinyforge there are images.
func (d dockerAPI) built(instance string) (releases []string) {
	d.Helper()
	var images []struct{ Labels map[string]string }
	d.call(http.MethodGet, "/images/json?"+filter("label", "tinyforge.built-by="+instance), &images)
	for _, i := range images {
		releases = append(releases, i.Labels["tinyforge.release"])
	}
	slices.Sort(releases)
	return releases
}

// TestImagesOfTheLastReleasesStay: seven deployments leave the images of the last three good ones, to each of which one can
// go back, and none of those that failed.
func TestImagesOfTheLastReleasesStay(t *testing.T) {
	t.Parallel()
	s, forge := newService(t), newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	c, web, docker := newClone(t, forge, "acme/site"), unique("web"), newDockerAPI(t)
	s.apply(forge, manifestOf(web, "dockerfile", "{deploy_strategy: blue-green}"))

	var good []string
	for n := 1; n <= 7; n++ {
		version := fmt.Sprint("v", n)
		if n%3 == 0 {
			c.ends(c.release(version, "EXIT_AFTER=0s", "EXIT_CODE=1"), "failure")
			continue
		}
		c.ends(c.release(version), "success")
		good = append(good, fmt.Sprintf("tf-%s-%d", web, n))
	}
	last := good[len(good)-3:] // of 4, 5 and 7
	slices.Sort(last)
	s.await("the images of the last three are left", func() bool { return slices.Equal(docker.built(s.instance), last) })
	s.serves(web, "v7")

	s.ask("rollback", web, "4")
	s.await("it is back", func() bool { d := s.deployments(web)[0]; return d.ID == 8 && d.Phase == db.PhaseLive })
	s.serves(web, "v4")

	// The good ones are 9, 8, which is 4 again, and 7.
	c.ends(c.release("v9"), "success")
	want := []string{fmt.Sprintf("tf-%s-4", web), fmt.Sprintf("tf-%s-7", web), fmt.Sprintf("tf-%s-9", web)}
	s.await("the oldest of them is gone", func() bool { return slices.Equal(docker.built(s.instance), want) })
	s.serves(web, "v9")
}

// TestPulledImagesOfTheLastReleasesStay: what was brought from a registry goes with the releases that needed it, and what
// the operator had already does not.
func TestPulledImagesOfTheLastReleasesStay(t *testing.T) {
	t.Parallel()
	s, forge, images := newService(t, "TINYFORGE_KEEP_RELEASES=2"), newForge(t, forgetest.Options{Kind: forgetest.Gitea}), newImageRegistry(t)
	c, web, docker := newClone(t, forge, "acme/site"), unique("web"), newDockerAPI(t)
	s.apply(forge, manifestOf(web, "image", "{image: '"+images.host+"/team/web:{{.ShortCommit}}'}"))

	here := func(tag string) bool {
		var found []struct{ ID string }
		docker.call(http.MethodGet, "/images/json?"+filter("reference", images.host+"/team/web:"+tag), &found)
		return len(found) > 0
	}
	var tags []string
	for _, version := range []string{"one", "two", "three", "four"} {
		commit := c.commit("version", version)
		tags = append(tags, commit[:7])
		images.publish("team/web:"+commit[:7], "VERSION="+version)
		if version == "one" {
			docker.call(http.MethodPost, "/images/create?fromImage="+images.host+"/team/web&tag="+commit[:7], nil)
		}
		c.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
		c.ends(commit, "success")
		s.serves(web, version)
	}
	s.await("the second is gone", func() bool { return !here(tags[1]) })
	if !here(tags[0]) || !here(tags[2]) || !here(tags[3]) {
		t.Errorf("of %q there are %v, %v and %v", tags, here(tags[0]), here(tags[2]), here(tags[3]))
	}
	s.ask("rollback", web)
	s.await("it is back", func() bool { d := s.deployments(web)[0]; return d.ID == 5 && d.Phase == db.PhaseLive })
	s.serves(web, "three")
}
