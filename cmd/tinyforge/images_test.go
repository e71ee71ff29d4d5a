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

// TestImagesOfTheLastReleasesStay: ten deployments leave the images of the last three good ones, to each of which one can
// go back, and none of those that failed.
func TestImagesOfTheLastReleasesStay(t *testing.T) {
	t.Parallel()
	s, forge := newService(t), newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	c, web, docker := newClone(t, forge, "acme/site"), unique("web"), newDockerAPI(t)
	s.apply(forge, manifestOf(web, "dockerfile", "{deploy_strategy: blue-green}"))

	var good []string
	for n := 1; n <= 10; n++ {
		version := fmt.Sprint("v", n)
		if n%3 == 0 {
			c.ends(c.release(version, "EXIT_AFTER=0s", "EXIT_CODE=1"), "failure")
			continue
		}
		c.ends(c.release(version), "success")
		good = append(good, fmt.Sprintf("tf-%s-%d", web, n))
	}
	last := good[len(good)-3:] // of 7, 8 and 10
	slices.Sort(last)
	s.await("the images of the last three are left", func() bool { return slices.Equal(docker.built(s.instance), last) })
	s.serves(web, "v10")

	s.ask("rollback", web, "7")
	s.await("it is back", func() bool { d := s.deployments(web)[0]; return d.ID == 11 && d.Phase == db.PhaseLive })
	s.serves(web, "v7")

	// The good ones are 12, 11, which is 7 again, and 10.
	c.ends(c.release("v12"), "success")
	want := []string{fmt.Sprintf("tf-%s-10", web), fmt.Sprintf("tf-%s-12", web), fmt.Sprintf("tf-%s-7", web)}
	s.await("the oldest of them is gone", func() bool { return slices.Equal(docker.built(s.instance), want) })
	s.serves(web, "v12")
}
