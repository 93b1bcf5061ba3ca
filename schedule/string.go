package schedule

import (
	"math/bits"
	"strconv"
	"strings"
)

// String writes the expression in its canonical form, with every H resolved;
// the result parses to an equal Cron. It has five fields where the second is
// zero.
func (c Cron) String() string {
	var b strings.Builder
	if c.second != 1 || c.flags&realSecond != 0 {
		writeTimes(&b, fieldSecond, c.second, c.flags&realSecond != 0)
		b.WriteByte(' ')
	}
	writeTimes(&b, fieldMinute, c.minute, c.flags&realMinute != 0)
	b.WriteByte(' ')
	writeTimes(&b, fieldHour, uint64(c.hour), c.flags&realHour != 0)
	b.WriteByte(' ')
	c.writeDom(&b)
	b.WriteByte(' ')
	if c.month == allMonths {
		b.WriteByte('*')
	} else {
		writeSet(&b, uint64(c.month))
	}
	b.WriteByte(' ')
	c.writeDow(&b)
	return b.String()
}

func (c Cron) writeDom(b *strings.Builder) {
	comma := writeDays(b, fieldDom, uint64(c.dom), c.flags&domStar != 0)
	for set := c.near; set != 0; set &= set - 1 {
		comma()
		b.WriteString(strconv.Itoa(bits.TrailingZeros32(set)) + "W")
	}
	for set := c.last; set != 0; set &= set - 1 {
		comma()
		b.WriteByte('L')
		if n := bits.TrailingZeros32(set); n > 0 {
			b.WriteString("-" + strconv.Itoa(n))
		}
	}
	if c.flags&lastWeekday != 0 {
		comma()
		b.WriteString("LW")
	}
}

func (c Cron) writeDow(b *strings.Builder) {
	comma := writeDays(b, fieldDow, uint64(c.dow), c.flags&dowStar != 0)
	for set := c.nth; set != 0; set &= set - 1 {
		comma()
		bit := bits.TrailingZeros64(set)
		if b.WriteString(strconv.Itoa(bit % 7)); bit/7 == nthLast {
			b.WriteByte('L')
		} else {
			b.WriteString("#" + strconv.Itoa(bit/7+1))
		}
	}
}

// writeDays writes a day field and returns what writes a comma before a further
// item, if one is needed.
func writeDays(b *strings.Builder, i int, set uint64, star bool) (comma func()) {
	f := &fields[i]
	start := b.Len()
	comma = func() {
		if b.Len() > start {
			b.WriteByte(',')
		}
	}
	if star {
		// The smallest step whose values are all in the set keeps the star.
		n := 1
		for stepSet(f, f.min, f.min+f.size-1, n)&^set != 0 {
			n++
		}
		b.WriteByte('*')
		if n > 1 {
			b.WriteString("/" + strconv.Itoa(n))
		}
		set &^= stepSet(f, f.min, f.min+f.size-1, n)
	}
	if set != 0 {
		comma()
		writeSet(b, set)
	}
	return comma
}

// writeTimes writes a second, minute or hour field. A field that follows real
// time keeps a `*` or a step.
func writeTimes(b *strings.Builder, i int, set uint64, real bool) {
	f := &fields[i]
	if !real {
		writeSet(b, set)
		return
	}
	for n := 1; n <= f.max; n++ {
		if stepSet(f, 0, f.max, n) == set {
			b.WriteByte('*')
			if n > 1 {
				b.WriteString("/" + strconv.Itoa(n))
			}
			return
		}
	}
	lo, hi := bits.TrailingZeros64(set), bits.Len64(set)-1
	n := 1
	if rest := set & (set - 1); rest != 0 {
		n = bits.TrailingZeros64(rest) - lo
	}
	if stepSet(f, lo, hi, n) != set {
		hi, n = lo, 1
	}
	b.WriteString(strconv.Itoa(lo) + "-" + strconv.Itoa(hi) + "/" + strconv.Itoa(n))
	if set &^= stepSet(f, lo, hi, n); set != 0 {
		b.WriteByte(',')
		writeSet(b, set)
	}
}

func stepSet(f *field, lo, hi, n int) (set uint64) {
	for v := lo; v <= hi; v += n {
		set |= 1 << v
	}
	return set
}

// writeSet writes values and ranges of at least three.
func writeSet(b *strings.Builder, set uint64) {
	first := true
	for set != 0 {
		lo := bits.TrailingZeros64(set)
		n := bits.TrailingZeros64(^(set >> lo))
		if n == 2 {
			n = 1
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteString(strconv.Itoa(lo))
		if n > 1 {
			b.WriteString("-" + strconv.Itoa(lo+n-1))
		}
		set &^= (1<<n - 1) << lo
	}
}
