package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// Which component of Kubernetes this program is, when it is one.
const (
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
)

// Where all of it listens: on 127.0.0.1 only.
const (
	etcdPort = iota + 23790
	etcdPeerPort
	apiPort
	controllersPort
	operatorPort
	operatorMetricsPort
	operatorProbePort
	adapterPort
	adapterMetricsPort
	webhooksPort
	webhooksMetricsPort
	webhooksProbePort
	afterTheLastPort
)

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// A cluster of one API server with the controllers that scaling takes, and KEDA.
type cluster struct {
	client      *kubernetes.Clientset
	kubeconfig  string
	kedaVersion string
	folder      string
	etcd        *embed.Etcd
	processes   []*process
}

type process struct {
	name    string
	command *exec.Cmd
	// Closed when it has ended.
	ended chan struct{}
}

func start(ctx context.Context, folder, keda string) (*cluster, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755)); err != nil {
		return nil, err
	}
	for port := etcdPort; port < afterTheLastPort; port++ {
		listener, err := net.Listen("tcp", loopback(port))
		if err != nil {
			return nil, fmt.Errorf("port %d is taken: %w", port, err)
		}
		listener.Close()
	}
	lab := &cluster{folder: folder, kedaVersion: filepath.Base(keda), kubeconfig: filepath.Join(folder, "kubeconfig")}
	if err := lab.startAll(ctx, keda); err != nil {
		lab.stop()
		return nil, err
	}
	return lab, nil
}

func (lab *cluster) startAll(ctx context.Context, keda string) error {
	certs, err := makeCertificates(filepath.Join(lab.folder, "certificates"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(lab.kubeconfig, []byte(kubeconfig(certs)), 0o600); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", lab.kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 1000, 1000
	if lab.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	if err := lab.startEtcd(); err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	if err := lab.startKubernetes(ctx, certs); err != nil {
		return err
	}
	return lab.startKEDA(ctx, keda, certs)
}

func (lab *cluster) startEtcd() error {
	config := embed.NewConfig()
	config.Dir = filepath.Join(lab.folder, "etcd")
	config.LogOutputs = []string{filepath.Join(lab.folder, "etcd.log")}
	// What it holds is gone with the run.
	config.UnsafeNoFsync = true
	clients := []url.URL{{Scheme: "http", Host: loopback(etcdPort)}}
	peers := []url.URL{{Scheme: "http", Host: loopback(etcdPeerPort)}}
	config.ListenClientUrls, config.AdvertiseClientUrls = clients, clients
	config.ListenPeerUrls, config.AdvertisePeerUrls = peers, peers
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	lab.etcd = etcd
	select {
	case <-etcd.Server.ReadyNotify():
		return nil
	case <-time.After(time.Minute):
		return errors.New("it was not ready within a minute")
	}
}

func (lab *cluster) startKubernetes(ctx context.Context, certs certificates) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	err = lab.process(apiServer, nil, self, apiServer,
		"--etcd-servers=http://"+loopback(etcdPort), "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", apiPort), "--endpoint-reconciler-type=none",
		"--tls-cert-file="+certs.certificate, "--tls-private-key-file="+certs.key, "--client-ca-file="+certs.authority,
		"--service-account-key-file="+certs.key, "--service-account-signing-key-file="+certs.key,
		"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		// Pods here are processes without an account.
		"--disable-admission-plugins=ServiceAccount",
		"--requestheader-client-ca-file="+certs.authority, "--requestheader-allowed-names=lab",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file="+certs.certificate, "--proxy-client-key-file="+certs.key)
	if err != nil {
		return err
	}
	ready := func() bool {
		_, err := lab.client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil
	}
	if err := lab.until(ctx, 2*time.Minute, "the API server is ready", ready); err != nil {
		return err
	}
	// At verbosity 4 the HPA's controller tells each of its looks.
	return lab.process(controllerManager, nil, self, controllerManager,
		"--kubeconfig="+lab.kubeconfig, "--authentication-kubeconfig="+lab.kubeconfig, "--authorization-kubeconfig="+lab.kubeconfig,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", controllersPort), "--leader-elect=false", "--v=4",
		"--controllers=deployment-controller,replicaset-controller,horizontal-pod-autoscaler-controller,namespace-controller,garbage-collector-controller")
}

func (lab *cluster) startKEDA(ctx context.Context, keda string, certs certificates) error {
	authority, err := os.ReadFile(certs.authority)
	if err != nil {
		return err
	}
	if err := lab.apply(objects(base64.StdEncoding.EncodeToString(authority))); err != nil {
		return err
	}
	if err := lab.kubectl(nil, "apply", "--server-side", "-f", filepath.Join(keda, "config/crd/bases")); err != nil {
		return err
	}
	// It fails at once for a definition that has no condition yet.
	established := func() bool {
		return lab.kubectl(nil, "wait", "--for=condition=Established", "crd", "--all", "--timeout=10s") == nil
	}
	if err := lab.until(ctx, time.Minute, "KEDA's definitions are established", established); err != nil {
		return err
	}
	dir := filepath.Dir(certs.authority)
	environment := []string{"KUBECONFIG=" + lab.kubeconfig, "POD_NAMESPACE=keda", "WATCH_NAMESPACE=", "KEDA_CLUSTER_OBJECT_NAMESPACE=keda"}
	err = errors.Join(
		lab.process("keda-operator", environment, filepath.Join(keda, "keda-operator"),
			"--zap-log-level=debug", "--zap-encoder=console", "--zap-time-encoding=rfc3339nano", "--cert-dir="+dir,
			"--metrics-bind-address="+loopback(operatorMetricsPort), "--health-probe-bind-address="+loopback(operatorProbePort),
			"--metrics-service-bind-address="+loopback(operatorPort)),
		lab.process("keda-adapter", environment, filepath.Join(keda, "keda-adapter"),
			fmt.Sprintf("--secure-port=%d", adapterPort), "--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", adapterMetricsPort),
			"--client-ca-file="+certs.authority, "--tls-cert-file="+certs.certificate, "--tls-private-key-file="+certs.key,
			"--cert-dir="+dir, "--metrics-service-address="+loopback(operatorPort),
			"--authentication-kubeconfig="+lab.kubeconfig, "--authorization-kubeconfig="+lab.kubeconfig,
			"--lister-kubeconfig="+lab.kubeconfig),
		lab.process("keda-webhooks", environment, filepath.Join(keda, "keda-webhooks"), "--cert-dir="+dir,
			fmt.Sprintf("--port=%d", webhooksPort), "--metrics-bind-address="+loopback(webhooksMetricsPort),
			"--health-probe-bind-address="+loopback(webhooksProbePort)))
	if err != nil {
		return err
	}
	listening := func() bool {
		connection, err := net.Dial("tcp", loopback(webhooksPort))
		if err == nil {
			connection.Close()
		}
		return err == nil
	}
	if err := lab.until(ctx, time.Minute, "KEDA's webhooks listen", listening); err != nil {
		return err
	}
	configuration, err := webhooks(keda, authority)
	if err != nil {
		return err
	}
	if err := lab.apply(configuration); err != nil {
		return err
	}
	served := func() bool {
		_, err := lab.client.RESTClient().Get().AbsPath("/apis/external.metrics.k8s.io/v1beta1").DoRaw(ctx)
		return err == nil
	}
	return lab.until(ctx, 2*time.Minute, "KEDA's metrics are served", served)
}

// A process of the lab, with only the environment that is given.
func (lab *cluster) process(name string, environment []string, program string, args ...string) error {
	log, err := os.Create(filepath.Join(lab.folder, name+".log"))
	if err != nil {
		return err
	}
	command := exec.Command(program, args...)
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + lab.folder}, environment...)
	command.Stdout, command.Stderr = log, log
	// It goes with this program, and Ctrl-C reaches it through this program alone.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return err
	}
	started := &process{name: name, command: command, ended: make(chan struct{})}
	go func() {
		_ = command.Wait()
		log.Close()
		close(started.ended)
	}()
	lab.processes = append(lab.processes, started)
	return nil
}

// An error if a process has ended by itself.
func (lab *cluster) alive() error {
	for _, one := range lab.processes {
		select {
		case <-one.ended:
			return fmt.Errorf("%s ended by itself: see %s", one.name, filepath.Join(lab.folder, one.name+".log"))
		default:
		}
	}
	return nil
}

func (lab *cluster) until(ctx context.Context, atMost time.Duration, what string, holds func() bool) error {
	for deadline := time.Now().Add(atMost); !holds(); {
		if err := errors.Join(lab.alive(), ctx.Err()); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v until %s: see the logs in %s", atMost, what, lab.folder)
		}
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}

func (lab *cluster) stop() {
	for n := len(lab.processes) - 1; n >= 0; n-- {
		one := lab.processes[n]
		_ = one.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-one.ended:
		case <-time.After(10 * time.Second):
			_ = one.command.Process.Kill()
			<-one.ended
		}
	}
	if lab.etcd != nil {
		lab.etcd.Close()
	}
}

func (lab *cluster) kubectl(input []byte, args ...string) error {
	command := exec.Command("kubectl", append([]string{"--kubeconfig", lab.kubeconfig}, args...)...)
	command.Stdin = bytes.NewReader(input)
	if told, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, told)
	}
	return nil
}

func (lab *cluster) apply(manifests string) error {
	return lab.kubectl([]byte(manifests), "apply", "--server-side", "-f", "-")
}

func kubeconfig(certs certificates) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "https://%s", certificate-authority: %s}}]
users: [{name: lab, user: {client-certificate: %s, client-key: %s}}]
contexts: [{name: lab, context: {cluster: lab, user: lab}}]
current-context: lab
`, loopback(apiPort), certs.authority, certs.certificate, certs.key)
}
