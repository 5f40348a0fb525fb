import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.util.VersionInfo;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.sqs.SqsClient;
import software.amazon.awssdk.services.sqs.model.*;

/** A day's ordinary work with the Java SDK v2, by the JSON protocol: run with the endpoint URL. */
public class WorkV2 {
    static void need(boolean ok, Object got) {
        if (!ok) throw new AssertionError(String.valueOf(got));
    }

    static void refused(Class<? extends Exception> error, Runnable call) {
        try {
            call.run();
        } catch (Exception e) {
            need(error.isInstance(e), e);
            return;
        }
        throw new AssertionError(error + " was expected");
    }

    public static void main(String[] args) {
        SqsClient sqs = SqsClient.builder().endpointOverride(URI.create(args[0])).region(Region.US_EAST_1)
            .overrideConfiguration(c -> c.retryStrategy(r -> r.maxAttempts(1))).build();
        String url = sqs.createQueue(r -> r.queueName("java2").attributesWithStrings(Map.of("VisibilityTimeout", "60")).tags(Map.of("a", "1"))).queueUrl();
        need(sqs.listQueueTags(r -> r.queueUrl(url)).tags().equals(Map.of("a", "1")), "tags");
        need(sqs.listQueues(r -> r.queueNamePrefix("java2")).queueUrls().equals(List.of(url)), "listed");

        String body = "hé <&>\r\n\t\"🚀\" a+b=c%20";
        SdkBytes bytes = SdkBytes.fromByteArray(new byte[] {0, -1});
        sqs.sendMessage(r -> r.queueUrl(url).messageBody(body).messageAttributes(
            Map.of("bytes", MessageAttributeValue.builder().dataType("Binary").binaryValue(bytes).build())));
        ReceiveMessageRequest receive = ReceiveMessageRequest.builder().queueUrl(url).maxNumberOfMessages(10)
            .messageSystemAttributeNamesWithStrings("All").messageAttributeNames("All").build();
        Message first = sqs.receiveMessage(receive).messages().get(0);
        need(first.body().equals(body) && first.messageAttributes().get("bytes").binaryValue().equals(bytes), first);
        sqs.changeMessageVisibility(r -> r.queueUrl(url).receiptHandle(first.receiptHandle()).visibilityTimeout(0));
        Message again = sqs.receiveMessage(receive).messages().get(0);
        need(again.attributesAsStrings().get("ApproximateReceiveCount").equals("2"), again);
        sqs.deleteMessage(r -> r.queueUrl(url).receiptHandle(again.receiptHandle()));

        List<SendMessageBatchRequestEntry> entries = new ArrayList<>();
        for (int i = 0; i < 9; i++) entries.add(SendMessageBatchRequestEntry.builder().id("m" + i).messageBody("body " + i).build());
        entries.add(SendMessageBatchRequestEntry.builder().id("bad").messageBody("x").delaySeconds(1000).build());
        SendMessageBatchResponse sent = sqs.sendMessageBatch(r -> r.queueUrl(url).entries(entries));
        need(sent.successful().size() == 9 && sent.failed().get(0).code().equals("InvalidParameterValue"), sent);
        List<DeleteMessageBatchRequestEntry> deletes = new ArrayList<>();
        for (Message message : sqs.receiveMessage(receive).messages())
            deletes.add(DeleteMessageBatchRequestEntry.builder().id("d" + deletes.size()).receiptHandle(message.receiptHandle()).build());
        deletes.set(8, DeleteMessageBatchRequestEntry.builder().id("bad").receiptHandle("x").build());
        DeleteMessageBatchResponse deleted = sqs.deleteMessageBatch(r -> r.queueUrl(url).entries(deletes));
        need(deleted.successful().size() == 8 && deleted.failed().get(0).code().equals("ReceiptHandleIsInvalid"), deleted);

        String fifo = sqs.createQueue(r -> r.queueName("java2.fifo").attributesWithStrings(Map.of("FifoQueue", "true", "ContentBasedDeduplication", "true"))).queueUrl();
        for (String text : List.of("a", "b", "a", "c")) sqs.sendMessage(r -> r.queueUrl(fifo).messageBody(text).messageGroupId("g"));
        List<String> order = sqs.receiveMessage(r -> r.queueUrl(fifo).maxNumberOfMessages(10)).messages().stream().map(Message::body).toList();
        need(order.equals(List.of("a", "b", "c")), order);

        String dead = sqs.createQueue(r -> r.queueName("java2-dead")).queueUrl();
        String arn = sqs.getQueueAttributes(r -> r.queueUrl(dead).attributeNames(QueueAttributeName.QUEUE_ARN)).attributesAsStrings().get("QueueArn");
        String policy = "{\"deadLetterTargetArn\":\"" + arn + "\",\"maxReceiveCount\":1}";
        String work = sqs.createQueue(r -> r.queueName("java2-work").attributesWithStrings(Map.of("RedrivePolicy", policy, "VisibilityTimeout", "0"))).queueUrl();
        sqs.sendMessage(r -> r.queueUrl(work).messageBody("poison"));
        need(sqs.receiveMessage(r -> r.queueUrl(work)).messages().size() == 1 && sqs.receiveMessage(r -> r.queueUrl(work)).messages().isEmpty(), "dead");
        sqs.startMessageMoveTask(r -> r.sourceArn(arn));
        need(sqs.receiveMessage(r -> r.queueUrl(work).waitTimeSeconds(20)).messages().get(0).body().equals("poison"), "redriven");

        refused(QueueDoesNotExistException.class, () -> sqs.getQueueUrl(r -> r.queueName("no-such")));
        refused(ReceiptHandleIsInvalidException.class, () -> sqs.deleteMessage(r -> r.queueUrl(url).receiptHandle("x")));
        refused(QueueNameExistsException.class, () -> sqs.createQueue(r -> r.queueName("java2").attributesWithStrings(Map.of("VisibilityTimeout", "1"))));
        refused(EmptyBatchRequestException.class, () -> sqs.sendMessageBatch(r -> r.queueUrl(url).entries(List.of())));
        sqs.purgeQueue(r -> r.queueUrl(url));
        refused(PurgeQueueInProgressException.class, () -> sqs.purgeQueue(r -> r.queueUrl(url)));
        sqs.deleteQueue(r -> r.queueUrl(url));
        System.out.println("ok   Java SDK " + VersionInfo.SDK_VERSION);
    }
}
