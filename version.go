package jadwal

// Version is that of this release, by semantic versioning.
const Version = "0.1.0"
