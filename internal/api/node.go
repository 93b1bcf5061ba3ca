package api

import "context"

// nodeView is a node in an answer.
type nodeView struct {
	ID         int64  `json:"id" example:"7"`
	Address    string `json:"address" doc:"Where its API listens." example:"10.0.0.7:8080"`
	Version    string `json:"version" doc:"Of the program."`
	StartedAt  stamp  `json:"started_at" doc:"When it became a node; one that begins again is another node."`
	LeaseUntil *stamp `json:"lease_until" doc:"By the database's clock. A node whose lease has ended is removed by the others. Null where there are no others: on SQLite."`
	Leaving    bool   `json:"leaving" doc:"It takes no shards and gives its own back."`
	Locked     bool   `json:"locked" doc:"It lacks a master key that something is sealed with: it has shards only where all nodes do."`
	Shards     int    `json:"shards" doc:"How many of the 1,024 shards it has: it fires the jobs whose id modulo 1,024 is one of them."`
	This       bool   `json:"this" doc:"It is the one that answers."`
}

// listNodes answers GET /node with the nodes that share the database, by id;
// on SQLite with this server alone.
func (s *Server) listNodes(ctx context.Context, _ *none) (*reply[[]nodeView], error) {
	cluster, me, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	shards := cluster.Counts()
	views := make([]nodeView, len(cluster.Nodes))
	for i, n := range cluster.Nodes {
		views[i] = nodeView{
			ID: n.ID, Address: n.Address, Version: n.Version, StartedAt: stamp(n.StartedAt), LeaseUntil: stampOf(n.LeaseUntil),
			Leaving: n.Leaving, Locked: n.Locked, Shards: shards[n.ID], This: n.ID == me,
		}
	}
	return ok(views, "List of all nodes"), nil
}
