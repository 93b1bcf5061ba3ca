package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

const (
	timingPairs = 1500
	timingNames = 20
)

// benchTiming measures whether the time of a failed sign-in tells if there is
// such a user: pairs of one name that there is and one that there is not, in
// random order, each pair from an address of its own so that nothing is limited.
// What tells is the median of the differences within pairs: what the machine
// does else meets both.
func benchTiming(b *bench) error {
	return b.onFresh(func(s *harness.Server) error {
		maker, err := admin(s)
		if err != nil {
			return err
		}
		for i := range timingNames {
			user := map[string]string{"username": timingName(true, i), "email": fmt.Sprintf("user%d@example.com", i), "password": harness.AdminPassword}
			if a, err := maker.Call("POST", "/user", user, nil); err != nil || a.Status != 201 {
				return fmt.Errorf("user %d: %v, %v", i, a, err)
			}
		}
		clients, err := dial(s.Address, 1)
		if err != nil {
			return err
		}
		defer closeAll(clients)
		var there, not, apart []time.Duration
		for i := range timingPairs + 20 { // the first do not count
			var took [2]time.Duration
			for _, k := range rand.Perm(2) {
				if took[k], err = guess(clients[0], i, timingName(k == 0, rand.IntN(timingNames))); err != nil {
					return err
				}
			}
			if i >= 20 {
				there, not, apart = append(there, took[0]), append(not, took[1]), append(apart, took[0]-took[1])
			}
		}
		low, high := medianWithin(apart)
		fmt.Printf("failed sign-ins, %d pairs of a name that there is and one that there is not (aim: no difference of a millisecond)\n", timingPairs)
		for _, side := range []struct {
			name string
			all  spread
		}{{"names that there are", there}, {"names that there are not", not}} {
			fmt.Printf("  %-28s p10 %s, p50 %s, p90 %s, p99 %s\n", side.name, ms(side.all.quantile(0.1)), ms(side.all.quantile(0.5)), ms(side.all.quantile(0.9)), ms(side.all.quantile(0.99)))
		}
		fmt.Printf("  median of the differences %s, with 95 %% confidence from %s to %s\n", ms(spread(apart).quantile(0.5)), ms(low), ms(high))
		return nil
	}, "JADWAL_TRUSTED_PROXIES=127.0.0.1/32")
}

// timingName is the name of a user, or of none, of the same form.
func timingName(there bool, i int) string {
	if there {
		return fmt.Sprintf("anita-%02d", i)
	}
	return fmt.Sprintf("bandi-%02d", i)
}

// guess signs in wrongly, from the address of a pair, and takes the time.
func guess(c *client, pair int, name string) (time.Duration, error) {
	body := `{"identifier":"` + name + `","password":"a wrong guess"}`
	c.request = fmt.Appendf(c.request[:0], "POST /login HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.%d.%d.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		pair>>8, pair&255, len(body), body)
	begun := time.Now()
	_, err := c.send(401)
	return time.Since(begun), err
}

// medianWithin is where the median of what all is drawn from lies with 95 %
// confidence, whatever the distribution: between the order statistics that a
// binomial count of half of them leaves (its normal approximation; from 100 on
// it is near enough).
func medianWithin(all []time.Duration) (low, high time.Duration) {
	sorted := slices.Sorted(slices.Values(all))
	n := float64(len(sorted))
	half := 1.96 * math.Sqrt(n) / 2
	return sorted[max(0, int(math.Floor(n/2-half))-1)], sorted[min(len(sorted)-1, int(math.Ceil(n/2+half)))]
}
