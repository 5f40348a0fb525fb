package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// What to record: a scenario as keda_inputs.rs writes it. Times are in seconds.
type input struct {
	// Namespace, and name of the queue but for its suffix.
	Name  string `json:"name"`
	Queue string `json:"queue"`
	// The scenario's file, which goes into the trace.
	Scenario string `json:"scenario"`
	// In the order in which they have to be made.
	Queues []struct {
		Name       string            `json:"name"`
		Attributes map[string]string `json:"attributes"`
	} `json:"queues"`
	ScaledObject map[string]any    `json:"scaledObject"`
	Environment  map[string]string `json:"environment"`
	StartDelay   float64           `json:"startDelay"`
	GracePeriod  int64             `json:"gracePeriod"`
	Floor        int32             `json:"floor"`
	Limit        float64           `json:"limit"`
	Sends        []struct {
		At     float64  `json:"at"`
		First  int      `json:"first"`
		Group  string   `json:"group"`
		Bodies []string `json:"bodies"`
	} `json:"sends"`
}

func readInput(file string) (*input, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	read := new(input)
	if err := json.Unmarshal(text, read); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return read, nil
}

type recording struct {
	input   *input
	lab     *cluster
	queue   queueClient
	folder  string
	version string
	limit   time.Duration
	sent    atomic.Bool
	// As applied.
	scaledObject []byte
}

// A second that is looked at later than this is no recording of real scaling, but of a machine that is too busy.
const tooLate = 500 * time.Millisecond

// How long the last pod above the floor must be gone before a recording ends.
const settled = 20 * time.Second

// What a recording tells of itself in end.json, in seconds since the first send. The phases are those of the operator's
// polls (none where it does not poll) and of the HPA's syncs.
type end struct {
	KEDA      string   `json:"keda"`
	Drained   *float64 `json:"drained"`
	Ended     float64  `json:"ended"`
	FirstPoll *float64 `json:"firstPoll"`
	FirstSync *float64 `json:"firstSync"`
}

func (r *recording) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	name := r.input.Name
	folder := filepath.Join(r.folder, name+"-"+r.version)
	for _, queue := range r.input.Queues {
		if err := r.queue.create(queue.Name, queue.Attributes); err != nil {
			return err
		}
	}
	if err := r.install(); err != nil {
		return err
	}
	defer r.leave()
	if err := r.lab.until(ctx, 2*time.Minute, name+" stands at its floor", func() bool { return r.atRest(ctx) }); err != nil {
		return err
	}
	began := time.Now()
	seen := newTrace(began)
	watching := make(chan error, 1)
	go func() { watching <- seen.watch(ctx, r.lab.client, name, r.input.Floor) }()
	sending := make(chan error, 1)
	go func() { sending <- r.send(ctx, began) }()

	limit := r.limit
	if limit == 0 {
		limit = time.Duration(r.input.Limit * float64(time.Second))
	}
	told := end{KEDA: r.version}
	var low time.Time
	var late time.Duration
	for second := 0; ; second++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-watching:
			return fmt.Errorf("the watch of the Deployment ended: %w", err)
		case err := <-sending:
			if err != nil {
				return err
			}
			r.sent.Store(true)
		case <-time.After(time.Until(began.Add(time.Duration(second) * time.Second))):
		}
		if err := r.lab.alive(); err != nil {
			return err
		}
		row, err := r.sample(ctx)
		if err != nil {
			return err
		}
		now := time.Since(began)
		seen.row(now, row)
		late = max(late, now-time.Duration(second)*time.Second)
		if told.Drained == nil && r.sent.Load() && row.queue.visible+row.queue.inFlight == 0 {
			told.Drained = seconds(now)
		}
		if told.Drained == nil || row.spec > r.input.Floor || row.status > r.input.Floor {
			low = time.Time{}
		} else if low.IsZero() {
			low = time.Now()
		}
		if now > limit || !low.IsZero() && time.Since(low) > settled {
			told.Ended = *seconds(now)
			break
		}
	}
	if late > tooLate {
		return fmt.Errorf("nothing was kept: the machine was up to %.1f s late, so that pods and syncs were too; record while nothing else runs", late.Seconds())
	}
	var err error
	if told.FirstSync, err = r.firstSync(began); err != nil {
		return err
	}
	if told.FirstPoll, err = r.firstPoll(began); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return errors.Join(seen.write(folder),
		os.WriteFile(filepath.Join(folder, "scaledobject.yaml"), r.scaledObject, 0o644),
		os.WriteFile(filepath.Join(folder, "scenario.toml"), []byte(r.input.Scenario), 0o644),
		writeJSON(filepath.Join(folder, "end.json"), told))
}

func seconds(time time.Duration) *float64 {
	value := float64(time.Milliseconds()) / 1000
	return &value
}

func writeJSON(file string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// The Deployment of the scenario's pods and its ScaledObject, in a namespace of their own.
func (r *recording) install() error {
	name := r.input.Name
	var environment []map[string]string
	for variable, value := range r.input.Environment {
		environment = append(environment, map[string]string{"name": variable, "value": value})
	}
	labels := map[string]string{"app": "worker"}
	object := func(version, kind, called string, rest map[string]any) map[string]any {
		rest["apiVersion"], rest["kind"] = version, kind
		metadata := map[string]any{"name": called}
		if kind != "Namespace" {
			metadata["namespace"] = name
		}
		rest["metadata"] = metadata
		return rest
	}
	scaled := object("keda.sh/v1alpha1", "ScaledObject", "worker", map[string]any{"spec": r.input.ScaledObject})
	all := []map[string]any{
		object("v1", "Namespace", name, map[string]any{}),
		// The embedded queue takes any keys.
		object("v1", "Secret", "keys", map[string]any{"stringData": map[string]string{"id": "local", "secret": "local"}}),
		object("keda.sh/v1alpha1", "TriggerAuthentication", "keda", map[string]any{"spec": map[string]any{"secretTargetRef": []map[string]string{
			{"parameter": "awsAccessKeyID", "name": "keys", "key": "id"},
			{"parameter": "awsSecretAccessKey", "name": "keys", "key": "secret"},
		}}}),
		object("apps/v1", "Deployment", "worker", map[string]any{"spec": map[string]any{
			"replicas": r.input.Floor,
			"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels, "annotations": map[string]string{
					startDelay: fmt.Sprint(int(r.input.StartDelay * 1000)),
				}},
				"spec": map[string]any{
					"nodeName":                      node,
					"terminationGracePeriodSeconds": r.input.GracePeriod,
					"containers":                    []map[string]any{{"name": "worker", "image": "twinscale-worker", "env": environment}},
				},
			},
		}}),
		scaled,
	}
	var manifests []byte
	for _, one := range all {
		text, err := yaml.Marshal(one)
		if err != nil {
			return err
		}
		manifests = append(append(manifests, "---\n"...), text...)
		if one["kind"] == "ScaledObject" {
			r.scaledObject = text
		}
	}
	return r.lab.apply(string(manifests))
}

// No pods are left to take the machine from those that are still recorded.
func (r *recording) leave() {
	err := r.lab.kubectl(nil, "delete", "scaledobject,deployment", "--all", "-n", r.input.Name, "--wait=false")
	if err != nil {
		fmt.Fprintln(os.Stderr, "keda-lab:", err)
	}
}

func (r *recording) deployment(ctx context.Context) (*apps.Deployment, error) {
	return r.lab.client.AppsV1().Deployments(r.input.Name).Get(ctx, "worker", meta.GetOptions{})
}

func (r *recording) hpa(ctx context.Context) (*autoscaling.HorizontalPodAutoscaler, error) {
	return r.lab.client.AutoscalingV2().HorizontalPodAutoscalers(r.input.Name).Get(ctx, "keda-hpa-worker", meta.GetOptions{})
}

// At the floor, and the HPA has synced before, as one that has been there for long.
func (r *recording) atRest(ctx context.Context) bool {
	deployment, err := r.deployment(ctx)
	if err != nil || deployment.Status.ReadyReplicas != r.input.Floor || *deployment.Spec.Replicas != r.input.Floor {
		return false
	}
	hpa, err := r.hpa(ctx)
	return err == nil && len(hpa.Status.Conditions) > 0
}

func (r *recording) send(ctx context.Context, began time.Time) error {
	for _, one := range r.input.Sends {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(began.Add(time.Duration(one.At * float64(time.Second))))):
		}
		if err := r.queue.send(r.input.Queue, one.Group, one.First, one.Bodies); err != nil {
			return err
		}
	}
	return nil
}
