package settings

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"tinyforge/templates"
)

// volumeRow is a row of the form's volumes.
type volumeRow struct {
	Name     string `json:"name"`
	Path     string `json:"path"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

// volumeRows are the rows that say something.
func volumeRows(f *templates.Form) (rows []volumeRow) {
	names, paths := f.Values["volume_name"], f.Values["volume_path"]
	for i := range max(len(names), len(paths)) {
		row := volumeRow{Name: strings.TrimSpace(at(names, i)), Path: strings.TrimSpace(at(paths, i)), ReadOnly: f.Is("volume_ro", strconv.Itoa(i))}
		if row.Name+row.Path != "" {
			rows = append(rows, row)
		}
	}
	return rows
}

// dropVolume empties the row that was sent as the n-th.
func dropVolume(f *templates.Form, n int) {
	if n >= 0 && n < len(f.Values["volume_name"]) && n < len(f.Values["volume_path"]) {
		f.Values["volume_name"][n], f.Values["volume_path"][n] = "", ""
		setVolumes(f, volumeRows(f), 2)
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// setVolumes writes the rows into the form, and some that are empty.
func setVolumes(f *templates.Form, rows []volumeRow, empty int) {
	names, paths, readOnly := []string{}, []string{}, []string{}
	for i, row := range append(slices.Clone(rows), make([]volumeRow, empty)...) {
		names, paths = append(names, row.Name), append(paths, row.Path)
		if row.ReadOnly {
			readOnly = append(readOnly, strconv.Itoa(i))
		}
	}
	f.Values["volume_name"], f.Values["volume_path"], f.Values["volume_ro"] = names, paths, readOnly
}

// savedVolumes are those of a config. ok is false where it has what no row can say.
func savedVolumes(config object) (rows []volumeRow, ok bool) {
	raw := config.get("volumes")
	if raw == nil {
		return nil, true
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if d.Decode(&rows) != nil || len(rows) == 0 {
		return nil, false
	}
	for _, row := range rows {
		if row.Name+row.Path == "" || !oneLine(row.Name+row.Path) || strings.TrimSpace(row.Name) != row.Name || strings.TrimSpace(row.Path) != row.Path {
			return nil, false
		}
	}
	return rows, true
}

// writable is the first volume that is written to, or nil.
func writable(rows []volumeRow) *volumeRow {
	for i, row := range rows {
		if !row.ReadOnly {
			return &rows[i]
		}
	}
	return nil
}
