package source

import (
	"fmt"
	"path"

	"tinyforge/db"
)

// volume is the config of a named volume.
type volume struct {
	Name     string `json:"name" validate:"required,max=64,name"`
	Path     string `json:"path" validate:"required,max=1024,mountpath"`
	ReadOnly bool   `json:"read_only"`
}

// writable returns the first volume that can be written to, or nil.
func writable(volumes []volume) *volume {
	for i := range volumes {
		if !volumes[i].ReadOnly {
			return &volumes[i]
		}
	}
	return nil
}

func checkVolumes(volumes []volume) Faults {
	var all Faults
	first := map[string]int{}
	for i, v := range volumes {
		mount := path.Clean(v.Path)
		if n, taken := first[mount]; taken && v.Path != "" {
			all = append(all, Fault{fmt.Sprintf("volumes[%d].path", i), fmt.Sprintf("is the same as volumes[%d].path", n)})
			continue
		}
		first[mount] = i
	}
	return all
}

func releaseVolumes(volumes []volume) []db.Volume {
	var all []db.Volume
	for _, v := range volumes {
		all = append(all, db.Volume{Name: v.Name, Path: path.Clean(v.Path), ReadOnly: v.ReadOnly})
	}
	return all
}
