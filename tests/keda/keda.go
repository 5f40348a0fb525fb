package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	admission "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"
)

// KEDA's namespace, and its adapter as what answers for external metrics. The name of its Service is this machine.
func objects(authority string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata: {name: keda}
---
apiVersion: v1
kind: Service
metadata: {name: keda-metrics-apiserver, namespace: keda}
spec: {type: ExternalName, externalName: localhost, ports: [{name: https, port: %[1]d, protocol: TCP}]}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.external.metrics.k8s.io}
spec:
  service: {name: keda-metrics-apiserver, namespace: keda, port: %[1]d}
  group: external.metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  caBundle: %[2]s
`, adapterPort, authority)
}

// KEDA's own configuration of its webhooks, by URL instead of by Service. What they refuse is an error here.
func webhooks(keda string, authority []byte) (string, error) {
	text, err := os.ReadFile(filepath.Join(keda, "config/webhooks/validation_webhooks.yaml"))
	if err != nil {
		return "", err
	}
	var configuration admission.ValidatingWebhookConfiguration
	if err := yaml.Unmarshal(text, &configuration); err != nil {
		return "", err
	}
	fail := admission.Fail
	for n := range configuration.Webhooks {
		hook := &configuration.Webhooks[n]
		url := "https://" + loopback(webhooksPort) + *hook.ClientConfig.Service.Path
		hook.ClientConfig = admission.WebhookClientConfig{URL: &url, CABundle: authority}
		hook.FailurePolicy = &fail
	}
	made, err := json.Marshal(configuration)
	return string(made), err
}
