module github.com/teknohole/jadwal

go 1.26.0
