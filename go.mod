module github.com/teknohole/jadwal

go 1.26.0

require github.com/teambition/rrule-go v1.8.2
