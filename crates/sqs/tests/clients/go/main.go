// A day's ordinary work with the Go SDK v2: run with the endpoint URL.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func need(ok bool, what string, got ...any) {
	if !ok {
		panic(fmt.Sprintf("%s: %v", what, got))
	}
}

func must[T any](value T, err error) T {
	need(err == nil, "failed", err)
	return value
}

func main() {
	ctx := context.Background()
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
	})
	client := sqs.New(sqs.Options{
		BaseEndpoint: aws.String(os.Args[1]), Region: "us-east-1", Credentials: credentials, Retryer: aws.NopRetryer{},
	})
	create := func(name string, attributes map[string]string) *string {
		return must(client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})).QueueUrl
	}
	receive := func(url *string) []types.Message {
		return must(client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"},
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})).Messages
	}
	send := func(url *string, body string, group *string) {
		_, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body, MessageGroupId: group})
		need(err == nil, "sent", err)
	}
	url := create("go", map[string]string{"VisibilityTimeout": "60"})
	need(*must(client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("go")})).QueueUrl == *url, "found")

	body := "hé <&>\r\n\t🚀"
	must(client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body,
		MessageAttributes: map[string]types.MessageAttributeValue{
			"bytes": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}}}}))
	got := receive(url)
	need(len(got) == 1 && *got[0].Body == body && got[0].MessageAttributes["bytes"].BinaryValue[1] == 255, "received", got)
	must(client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: got[0].ReceiptHandle}))
	got = receive(url)
	need(got[0].Attributes["ApproximateReceiveCount"] == "2", "given back", got)
	must(client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: got[0].ReceiptHandle}))

	var entries []types.SendMessageBatchRequestEntry
	for i := range 9 {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(fmt.Sprint("body ", i))})
	}
	late := types.SendMessageBatchRequestEntry{Id: aws.String("bad"), MessageBody: &body, DelaySeconds: 1000}
	sent := must(client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: append(entries, late)}))
	need(len(sent.Successful) == 9 && *sent.Failed[0].Code == "InvalidParameterValue" && sent.Failed[0].SenderFault, "batch", sent)
	var deletes []types.DeleteMessageBatchRequestEntry
	for i, message := range receive(url) {
		deletes = append(deletes, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: message.ReceiptHandle})
	}
	deletes = append(deletes, types.DeleteMessageBatchRequestEntry{Id: aws.String("bad"), ReceiptHandle: aws.String("x")})
	deleted := must(client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: deletes}))
	need(len(deleted.Successful) == 9 && *deleted.Failed[0].Code == "ReceiptHandleIsInvalid", "deleted", deleted)

	fifo := create("go.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
	for _, body := range []string{"a", "b", "a", "c"} {
		send(fifo, body, aws.String("g"))
	}
	got = receive(fifo)
	need(len(got) == 3 && *got[0].Body+*got[1].Body+*got[2].Body == "abc", "in order", got)

	dead := create("go-dead", nil)
	arn := must(client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: dead,
		AttributeNames: []types.QueueAttributeName{"QueueArn"}})).Attributes["QueueArn"]
	work := create("go-work", map[string]string{"VisibilityTimeout": "0",
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, arn)})
	send(work, "poison", nil)
	need(len(receive(work)) == 1 && len(receive(work)) == 0, "dead")
	must(client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn}))
	back := must(client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: work, WaitTimeSeconds: 20})).Messages
	need(len(back) == 1 && *back[0].Body == "poison", "redriven", back)

	_, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("no-such")})
	var noQueue *types.QueueDoesNotExist
	need(errors.As(err, &noQueue), "its class", err)
	_, err = client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: aws.String("x")})
	var badHandle *types.ReceiptHandleIsInvalid
	need(errors.As(err, &badHandle), "its class", err)
	must(client.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: url}))
	_, err = client.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: url})
	var purged *types.PurgeQueueInProgress
	need(errors.As(err, &purged), "its class", err)
	must(client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: url}))
	fmt.Println("ok   Go SDK v2", aws.SDKVersion)
}
