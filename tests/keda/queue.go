package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// The embedded queue, by SQS's JSON protocol.
type queueClient struct{ endpoint string }

func (q queueClient) url(name string) string { return q.endpoint + "/000000000000/" + name }

func (q queueClient) call(operation string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	post, err := http.NewRequest(http.MethodPost, q.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	post.Header.Set("Content-Type", "application/x-amz-json-1.0")
	post.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	got, err := http.DefaultClient.Do(post)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		return err
	}
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", operation, got.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

func (q queueClient) create(name string, attributes map[string]string) error {
	return q.call("CreateQueue", map[string]any{"QueueName": name, "Attributes": attributes}, nil)
}

type counts struct{ visible, inFlight int }

func (q queueClient) counts(name string) (counts, error) {
	const visible, inFlight = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
	var answer struct{ Attributes map[string]string }
	err := q.call("GetQueueAttributes", map[string]any{"QueueUrl": q.url(name), "AttributeNames": []string{visible, inFlight}}, &answer)
	if err != nil {
		return counts{}, err
	}
	v, err := strconv.Atoi(answer.Attributes[visible])
	if err != nil {
		return counts{}, err
	}
	f, err := strconv.Atoi(answer.Attributes[inFlight])
	return counts{v, f}, err
}

// Ten bodies at most, of one message group.
func (q queueClient) send(name, group string, first int, bodies []string) error {
	var entries []map[string]string
	for n, body := range bodies {
		entry := map[string]string{"Id": strconv.Itoa(n), "MessageBody": body}
		if group != "" {
			entry["MessageGroupId"], entry["MessageDeduplicationId"] = group, strconv.Itoa(first+n)
		}
		entries = append(entries, entry)
	}
	var answer struct{ Successful, Failed []any }
	if err := q.call("SendMessageBatch", map[string]any{"QueueUrl": q.url(name), "Entries": entries}, &answer); err != nil {
		return err
	}
	if len(answer.Successful) != len(bodies) {
		return fmt.Errorf("the queue took %d of %d messages: %v", len(answer.Successful), len(bodies), answer.Failed)
	}
	return nil
}
