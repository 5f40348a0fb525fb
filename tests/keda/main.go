// Command keda-lab runs the real HPA controller and the real KEDA on loopback, without containers, and records what they do.
//
//	keda-lab record -keda DIR -worker FILE -queue URL -inputs DIR -traces DIR NAME...
//	keda-lab serve  -keda DIR                  a cluster with KEDA until it is told to stop
//
// The API server and the controllers are Kubernetes' own, compiled into this program and run as processes of it; KEDA's
// operator, adapter and webhooks are programs of their own, which build.sh makes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	if len(os.Args) < 2 {
		stop("say record or serve")
	}
	switch os.Args[1] {
	case apiServer:
		component(apiserver.NewAPIServerCommand())
	case controllerManager:
		component(controllers.NewControllerManagerCommand())
	case "record", "serve":
		if err := run(os.Args[1], os.Args[2:]); err != nil {
			stop(err)
		}
	default:
		stop("say record or serve")
	}
}

func stop(why any) {
	fmt.Fprintln(os.Stderr, "keda-lab:", why)
	os.Exit(1)
}

// A component of Kubernetes, as its own main runs it.
func component(command *cobra.Command) {
	command.SetArgs(os.Args[2:])
	os.Exit(cli.Run(command))
}

func run(what string, args []string) error {
	flags := flag.NewFlagSet(what, flag.ExitOnError)
	kedaDir := flags.String("keda", "", "folder of KEDA's programs and of its config/")
	work := flags.String("work", "target/keda/run", "folder for what the processes leave behind")
	worker := flags.String("worker", "", "twinscale-worker")
	queue := flags.String("queue", "", "URL of the embedded queue")
	inputs := flags.String("inputs", "", "folder with an input for each scenario")
	traces := flags.String("traces", "", "folder for the traces")
	limit := flags.Duration("limit", 0, "ends each recording after this time, drained or not; 0: the scenario's own limit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var recordings []*recording
	for _, name := range flags.Args() {
		input, err := readInput(filepath.Join(*inputs, name+".json"))
		if err != nil {
			return err
		}
		recordings = append(recordings, &recording{input: input, queue: queueClient{*queue}, folder: *traces, limit: *limit})
	}

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	lab, err := start(ctx, *work, *kedaDir)
	if err != nil {
		return err
	}
	defer lab.stop()
	if what == "serve" {
		fmt.Println("KUBECONFIG=" + lab.kubeconfig)
		<-ctx.Done()
		return nil
	}

	pods := &kubelet{client: lab.client, worker: *worker, folder: filepath.Join(*work, "pods")}
	defer pods.stop()
	go pods.run(ctx)
	problems := make([]error, len(recordings))
	var all sync.WaitGroup
	for n, one := range recordings {
		one.lab, one.version = lab, lab.kedaVersion
		all.Add(1)
		go func() {
			defer all.Done()
			began := time.Now()
			if err := one.run(ctx); err != nil {
				problems[n] = fmt.Errorf("%s: %w", one.input.Name, err)
				return
			}
			fmt.Printf("-- %s: recorded in %d s\n", one.input.Name, int(time.Since(began).Seconds()))
		}()
	}
	all.Wait()
	// Nothing looks at pods while the cluster goes away.
	cancel()
	return errors.Join(problems...)
}
