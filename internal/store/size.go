package store

// How large things are. The texts are SQLite's own.

// usedBytes is how many bytes of the database are in use: what was removed is
// free for what comes next, though the file stays as large as it was.
func usedBytes(t *tx) (int64, error) {
	pages := [3]int64{}
	for i, sql := range [...]string{"PRAGMA page_count", "PRAGMA freelist_count", "PRAGMA page_size"} {
		if _, err := t.one(sql, func(r row) { pages[i] = r.int(0) }); err != nil {
			return 0, err
		}
	}
	return (pages[0] - pages[1]) * pages[2], nil
}

// otherBytes is how many of them hold something else than history. It reads all
// of those pages: https://www.sqlite.org/dbstat.html
func otherBytes(t *tx) (bytes int64, err error) {
	_, err = t.one(`SELECT sum(d.pgsize) FROM sqlite_schema s JOIN dbstat d ON d.name = s.name AND d.aggregate = 1
		WHERE s.tbl_name NOT IN ('run', 'run_output', 'attempt')`, func(r row) { bytes = r.int(0) })
	return bytes, err
}
