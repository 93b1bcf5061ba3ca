package rrule

import (
	"testing"
	"time"
)

// anchor is a Monday.
var anchor = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

func TestDescribe(t *testing.T) {
	for _, c := range []struct{ rule, en, id string }{
		{"FREQ=DAILY", "Every day at 09:00", "Setiap hari pukul 09.00"},
		{"FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=5", "Every day at 02:30:05", "Setiap hari pukul 02.30.05"},
		{
			"FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;WKST=SU",
			"Every 2 weeks on Monday and Friday at 09:00, weeks beginning on Sunday, counted from 2026-01-05 09:00",
			"Setiap 2 minggu pada hari Senin dan Jumat pukul 09.00, minggu dimulai hari Minggu, dihitung dari 2026-01-05 09.00",
		},
		{"FREQ=WEEKLY;WKST=SU", "Every week on Monday at 09:00", "Setiap minggu pada hari Senin pukul 09.00"},
		{"FREQ=MONTHLY", "Every month on day 5 at 09:00", "Setiap bulan pada tanggal 5 pukul 09.00"},
		{
			"FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
			"Every month on day 13 at 09:00, only on Friday",
			"Setiap bulan pada tanggal 13 pukul 09.00, hanya pada hari Jumat",
		},
		{"FREQ=MONTHLY;BYMONTH=2", "Every month in February on day 5 at 09:00", "Setiap bulan pada bulan Februari pada tanggal 5 pukul 09.00"},
		{
			"FREQ=MONTHLY;BYDAY=1SU,-1SU,-2MO",
			"Every month on the 1st Sunday of the month, the 2nd-to-last Monday of the month and the last Sunday of the month at 09:00",
			"Setiap bulan pada hari Minggu ke-1 bulan itu, Senin ke-2 dari akhir bulan itu dan Minggu terakhir bulan itu pukul 09.00",
		},
		{
			"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
			"Every month on every Monday, Tuesday, Wednesday, Thursday and Friday at 09:00, of these only the last of each month",
			"Setiap bulan pada setiap hari Senin, Selasa, Rabu, Kamis dan Jumat pukul 09.00, dari semua itu hanya yang terakhir setiap bulan",
		},
		{"FREQ=YEARLY", "Every year in January on day 5 at 09:00", "Setiap tahun pada bulan Januari pada tanggal 5 pukul 09.00"},
		{"FREQ=YEARLY;BYDAY=MO", "Every year on every Monday at 09:00", "Setiap tahun pada setiap hari Senin pukul 09.00"},
		{"FREQ=YEARLY;BYMONTHDAY=1", "Every year in every month on day 1 at 09:00", "Setiap tahun pada setiap bulan pada tanggal 1 pukul 09.00"},
		{
			"FREQ=MONTHLY;BYDAY=MO,1FR", "Every month on every Monday and the 1st Friday of the month at 09:00",
			"Setiap bulan pada setiap hari Senin dan Jumat ke-1 bulan itu pukul 09.00",
		},
		{"FREQ=YEARLY;BYDAY=20MO", "Every year on the 20th Monday of the year at 09:00", "Setiap tahun pada hari Senin ke-20 tahun itu pukul 09.00"},
		{
			"FREQ=YEARLY;BYWEEKNO=20,-1",
			"Every year in week 20 of the year and the last week of the year at 09:00, only on Monday",
			"Setiap tahun pada minggu ke-20 tahun itu dan minggu terakhir tahun itu pukul 09.00, hanya pada hari Senin",
		},
		{
			"FREQ=YEARLY;BYYEARDAY=1,100,-1;COUNT=3",
			"Every year on day 1 of the year, day 100 of the year and the last day of the year at 09:00, 3 times",
			"Setiap tahun pada hari ke-1 tahun itu, hari ke-100 tahun itu dan hari terakhir tahun itu pukul 09.00, 3 kali",
		},
		{"FREQ=HOURLY", "Every hour at minute 0", "Setiap jam pada menit 0"},
		{"FREQ=HOURLY;BYMINUTE=0,30;BYSECOND=9", "Every hour at minute 0 and 30 at second 9", "Setiap jam pada menit 0 dan 30 pada detik 9"},
		{
			"FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10",
			"Every 20 minutes, only in hour 9 and 10, counted from 2026-01-05 09:00",
			"Setiap 20 menit, hanya pada jam 9 dan 10, dihitung dari 2026-01-05 09.00",
		},
		{"FREQ=SECONDLY;BYMINUTE=1;BYSECOND=5", "Every second, only in minute 1, only in second 5", "Setiap detik, hanya pada menit 1, hanya pada detik 5"},
		{
			"FREQ=DAILY;BYMONTH=1;BYHOUR=9,17;UNTIL=20270101",
			"Every day at 09:00 and 17:00, only in January, until the end of 2027-01-01",
			"Setiap hari pukul 09.00 dan 17.00, hanya pada bulan Januari, sampai akhir 2027-01-01",
		},
		{"FREQ=DAILY;UNTIL=20270101T000000Z", "Every day at 09:00, until 2027-01-01 00:00 UTC", "Setiap hari pukul 09.00, sampai 2027-01-01 00.00 UTC"},
		{"FREQ=DAILY;COUNT=1", "Every day at 09:00, once", "Setiap hari pukul 09.00, satu kali"},
		{
			"DTSTART;TZID=Asia/Jakarta:20260105T090000\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-3,-1\nEXDATE;VALUE=DATE:20260131\nEXDATE:20260226T090000\nRDATE:20260203T100000",
			"Every month on the 3rd-to-last day of the month and the last day of the month at 09:00, from 2026-01-05 09:00 Asia/Jakarta, excepted times: 1, excepted days: 1, added times: 1",
			"Setiap bulan pada hari ke-3 dari akhir bulan dan hari terakhir bulan itu pukul 09.00, mulai 2026-01-05 09.00 Asia/Jakarta, waktu yang dikecualikan: 1, hari yang dikecualikan: 1, waktu tambahan: 1",
		},
		{
			"FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40",
			"By the parts of the rule: FREQ DAILY; BYHOUR 9, 10, 11, 12, 13, 14, 15, 16; BYMINUTE 0, 20, 40, counted from 2026-01-05 09:00",
			"Menurut bagian aturan: FREQ DAILY; BYHOUR 9, 10, 11, 12, 13, 14, 15, 16; BYMINUTE 0, 20, 40, dihitung dari 2026-01-05 09.00",
		},
		{
			"FREQ=YEARLY;BYYEARDAY=1,2,3;BYMONTHDAY=1,2;BYDAY=MO",
			"By the parts of the rule: FREQ YEARLY; BYYEARDAY 1, 2, 3; BYMONTHDAY 1, 2; BYDAY MO, counted from 2026-01-05 09:00",
			"Menurut bagian aturan: FREQ YEARLY; BYYEARDAY 1, 2, 3; BYMONTHDAY 1, 2; BYDAY MO, dihitung dari 2026-01-05 09.00",
		},
	} {
		t.Run(c.rule, func(t *testing.T) {
			rule := mustParse(t, c.rule, "UTC", "", "")
			if got := rule.Describe("en"); got != c.en {
				t.Errorf("English:\n%s\nwant\n%s", got, c.en)
			}
			if got := rule.Describe("id"); got != c.id {
				t.Errorf("Indonesian:\n%s\nwant\n%s", got, c.id)
			}
		})
	}
}

func mustParse(t testing.TB, text, zone, gap, overlap string) *Rule {
	t.Helper()
	rule, err := Parse(text, mustZone(t, zone), anchor, gap, overlap)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return rule
}
