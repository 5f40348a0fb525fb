package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// The node of every pod: a name in its template, so that no scheduler is wanted.
const node = "lab"

// Annotation of a pod: milliseconds from its creation until it is Ready.
const startDelay = "twinscale/start-delay-ms"

// What takes the kubelet's place: one worker process a pod, Ready after its start delay; a deleted pod gets SIGTERM and,
// after its grace period, SIGKILL.
type kubelet struct {
	client *kubernetes.Clientset
	worker string
	folder string
	mutex  sync.Mutex
	pods   map[types.UID]*pod
}

type pod struct {
	seen    time.Time
	command *exec.Cmd
	ended   chan struct{}
	leaving bool
}

func (k *kubelet) run(ctx context.Context) {
	k.pods = map[types.UID]*pod{}
	for ctx.Err() == nil {
		if err := k.look(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "keda-lab: pods:", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (k *kubelet) look(ctx context.Context) error {
	all, err := k.client.CoreV1().Pods("").List(ctx, meta.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return err
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for n := range all.Items {
		object := &all.Items[n]
		known := k.pods[object.UID]
		if known == nil {
			known = &pod{seen: time.Now()}
			k.pods[object.UID] = known
		}
		delay, err := time.ParseDuration(object.Annotations[startDelay] + "ms")
		if err != nil {
			return err
		}
		switch {
		case known.leaving:
		case object.DeletionTimestamp != nil:
			known.leaving = true
			go k.end(object, known)
		case known.command == nil && time.Since(known.seen) >= delay:
			if err := k.start(object, known); err != nil {
				return err
			}
			if err := k.tell(ctx, object); err != nil && !errors.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}

func (k *kubelet) start(object *core.Pod, known *pod) error {
	folder := filepath.Join(k.folder, object.Namespace)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(folder, object.Name+".log"))
	if err != nil {
		return err
	}
	command := exec.Command(k.worker)
	for _, variable := range object.Spec.Containers[0].Env {
		command.Env = append(command.Env, variable.Name+"="+variable.Value)
	}
	command.Env = append(command.Env, "HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0")
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return err
	}
	known.command, known.ended = command, make(chan struct{})
	go func() {
		if err := command.Wait(); err != nil {
			fmt.Fprintf(os.Stderr, "keda-lab: pod %s/%s: %v\n", object.Namespace, object.Name, err)
		}
		log.Close()
		close(known.ended)
	}()
	return nil
}

// Running and Ready.
func (k *kubelet) tell(ctx context.Context, object *core.Pod) error {
	now := meta.Now()
	var conditions []core.PodCondition
	for _, kind := range []core.PodConditionType{core.PodScheduled, core.PodInitialized, core.ContainersReady, core.PodReady} {
		conditions = append(conditions, core.PodCondition{Type: kind, Status: core.ConditionTrue, LastTransitionTime: now})
	}
	patch, err := json.Marshal(map[string]any{"status": core.PodStatus{Phase: core.PodRunning, StartTime: &now, Conditions: conditions}})
	if err != nil {
		return err
	}
	_, err = k.client.CoreV1().Pods(object.Namespace).Patch(ctx, object.Name, types.MergePatchType, patch, meta.PatchOptions{}, "status")
	return err
}

func (k *kubelet) end(object *core.Pod, known *pod) {
	if known.command != nil {
		_ = known.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-known.ended:
		case <-time.After(time.Duration(*object.DeletionGracePeriodSeconds) * time.Second):
			_ = known.command.Process.Kill()
			<-known.ended
		}
	}
	at := int64(0)
	gone := meta.DeleteOptions{GracePeriodSeconds: &at, Preconditions: &meta.Preconditions{UID: &object.UID}}
	err := k.client.CoreV1().Pods(object.Namespace).Delete(context.Background(), object.Name, gone)
	if err != nil && !errors.IsNotFound(err) {
		fmt.Fprintln(os.Stderr, "keda-lab: pods:", err)
	}
}

// Kills what is left at the end of all recordings.
func (k *kubelet) stop() {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for _, one := range k.pods {
		if one.command != nil {
			_ = one.command.Process.Kill()
			<-one.ended
		}
	}
}
