// Package jadwal holds the words of the scheduler and its rules: users, jobs,
// runs, errors, who may do what, and what to fire. It is plain types and pure
// functions. It does no I/O, reads no clock and imports only package schedule;
// every other package imports it.
package jadwal
