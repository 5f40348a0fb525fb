package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	apps "k8s.io/api/apps/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// What was seen at one second.
type row struct {
	queue                                     counts
	desired, current, spec, status, readyPods int32
}

// trace.csv and changes.csv while they are written.
type trace struct {
	began         time.Time
	mutex         sync.Mutex
	last          counts
	rows, changes strings.Builder
}

func newTrace(began time.Time) *trace {
	t := &trace{began: began}
	t.rows.WriteString("t,visible,in_flight,hpa_desired,hpa_current,spec_replicas,status_replicas,ready\n")
	t.changes.WriteString("t,from,to,visible,in_flight\n")
	return t
}

func (r *recording) sample(ctx context.Context) (row, error) {
	queue, err := r.queue.counts(r.input.Queue)
	if err != nil {
		return row{}, err
	}
	deployment, err := r.deployment(ctx)
	if err != nil {
		return row{}, err
	}
	hpa, err := r.hpa(ctx)
	if err != nil {
		return row{}, err
	}
	return row{
		queue: queue, desired: hpa.Status.DesiredReplicas, current: hpa.Status.CurrentReplicas,
		spec: *deployment.Spec.Replicas, status: deployment.Status.Replicas, readyPods: deployment.Status.ReadyReplicas,
	}, nil
}

func (t *trace) row(now time.Duration, seen row) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.last = seen.queue
	fmt.Fprintf(&t.rows, "%.2f,%d,%d,%d,%d,%d,%d,%d\n", now.Seconds(), seen.queue.visible, seen.queue.inFlight,
		seen.desired, seen.current, seen.spec, seen.status, seen.readyPods)
}

// Notes each change of the Deployment's replicas when it is made. Returns when the watch cannot go on.
func (t *trace) watch(ctx context.Context, client *kubernetes.Clientset, namespace string, floor int32) error {
	for last := floor; ; {
		watched, err := client.AppsV1().Deployments(namespace).Watch(ctx, meta.ListOptions{FieldSelector: "metadata.name=worker"})
		if err != nil {
			return err
		}
		for event := range watched.ResultChan() {
			if event.Type == watch.Error {
				return fmt.Errorf("%v", event.Object)
			}
			deployment, is := event.Object.(*apps.Deployment)
			if !is {
				return fmt.Errorf("an event without a Deployment: %v", event.Object)
			}
			if replicas := *deployment.Spec.Replicas; replicas != last {
				t.mutex.Lock()
				fmt.Fprintf(&t.changes, "%.2f,%d,%d,%d,%d\n", time.Since(t.began).Seconds(), last, replicas, t.last.visible, t.last.inFlight)
				t.mutex.Unlock()
				last = replicas
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (t *trace) write(folder string) error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "trace.csv"), []byte(t.rows.String()), 0o644),
		os.WriteFile(filepath.Join(folder, "changes.csv"), []byte(t.changes.String()), 0o644))
}

// The HPA's controller tells each sync in its log, by what it scales.
func (r *recording) firstSync(began time.Time) (*float64, error) {
	reference := fmt.Sprintf("Deployment/%s/worker", r.input.Name)
	tells := func(line string) bool {
		return strings.Contains(line, reference) &&
			(strings.Contains(line, "Proposing desired replicas") || strings.Contains(line, "Decided not to scale"))
	}
	return firstAfter(filepath.Join(r.lab.folder, controllerManager+".log"), began, tells, func(line string) (time.Time, error) {
		stamp := regexp.MustCompile(`^[IWE](\d{4} \d\d:\d\d:\d\d\.\d+)`).FindStringSubmatch(line)
		if stamp == nil {
			return time.Time{}, fmt.Errorf("no time in %q", line)
		}
		at, err := time.ParseInLocation("2006 0102 15:04:05.999999", fmt.Sprintf("%d %s", began.Year(), stamp[1]), time.Local)
		return at, err
	})
}

// So does the operator each poll that finds messages.
func (r *recording) firstPoll(began time.Time) (*float64, error) {
	tells := func(line string) bool {
		return strings.Contains(line, `"`+r.input.Name+`"`) && strings.Contains(line, "Scaler for scaledObject is active")
	}
	return firstAfter(filepath.Join(r.lab.folder, "keda-operator.log"), began, tells, func(line string) (time.Time, error) {
		stamp, _, _ := strings.Cut(line, "\t")
		return time.Parse(time.RFC3339Nano, stamp)
	})
}

func firstAfter(log string, began time.Time, tells func(string) bool, when func(string) (time.Time, error)) (*float64, error) {
	file, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		if !tells(lines.Text()) {
			continue
		}
		at, err := when(lines.Text())
		if err != nil {
			return nil, err
		}
		if at.After(began) {
			return seconds(at.Sub(began)), nil
		}
	}
	return nil, lines.Err()
}
