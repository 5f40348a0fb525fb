import com.amazonaws.ClientConfiguration;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.sqs.AmazonSQS;
import com.amazonaws.services.sqs.AmazonSQSClientBuilder;
import com.amazonaws.services.sqs.model.*;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A day's ordinary work with the Java SDK v1, by the Query protocol: run with the endpoint URL. */
public class WorkV1 {
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
        AmazonSQS sqs = AmazonSQSClientBuilder.standard()
            .withEndpointConfiguration(new EndpointConfiguration(args[0], "us-east-1"))
            .withClientConfiguration(new ClientConfiguration().withMaxErrorRetry(0)).build();
        String url = sqs.createQueue(new CreateQueueRequest("java1").addAttributesEntry("VisibilityTimeout", "60").addTagsEntry("a", "1")).getQueueUrl();
        need(sqs.listQueueTags(url).getTags().equals(Map.of("a", "1")), "tags");
        need(sqs.listQueues("java1").getQueueUrls().equals(List.of(url)), "listed");
        sqs.setQueueAttributes(url, Map.of("VisibilityTimeout", "50"));
        need(sqs.getQueueAttributes(url, List.of("All")).getAttributes().get("VisibilityTimeout").equals("50"), "set");

        String body = "hé <&>\r\n\t\"🚀\" a+b=c%20";
        sqs.sendMessage(new SendMessageRequest(url, body)
            .addMessageAttributesEntry("bytes", new MessageAttributeValue().withDataType("Binary").withBinaryValue(ByteBuffer.wrap(new byte[] {0, -1})))
            .addMessageAttributesEntry("text", new MessageAttributeValue().withDataType("String").withStringValue("v & w")));
        ReceiveMessageRequest receive = new ReceiveMessageRequest(url).withMaxNumberOfMessages(10).withAttributeNames("All").withMessageAttributeNames("All");
        Message got = sqs.receiveMessage(receive).getMessages().get(0);
        need(got.getBody().equals(body), got);
        need(got.getMessageAttributes().get("bytes").getBinaryValue().equals(ByteBuffer.wrap(new byte[] {0, -1})), got);
        sqs.changeMessageVisibility(url, got.getReceiptHandle(), 0);
        got = sqs.receiveMessage(receive).getMessages().get(0);
        need(got.getAttributes().get("ApproximateReceiveCount").equals("2"), got);
        sqs.deleteMessage(url, got.getReceiptHandle());

        List<SendMessageBatchRequestEntry> entries = new ArrayList<>();
        for (int i = 0; i < 9; i++) entries.add(new SendMessageBatchRequestEntry("m" + i, "body " + i));
        entries.add(new SendMessageBatchRequestEntry("bad", "x").withDelaySeconds(1000));
        SendMessageBatchResult sent = sqs.sendMessageBatch(url, entries);
        need(sent.getSuccessful().size() == 9, sent);
        need(sent.getFailed().get(0).getCode().equals("InvalidParameterValue") && sent.getFailed().get(0).getSenderFault(), sent);
        List<DeleteMessageBatchRequestEntry> deletes = new ArrayList<>();
        for (Message message : sqs.receiveMessage(receive).getMessages()) deletes.add(new DeleteMessageBatchRequestEntry("d" + deletes.size(), message.getReceiptHandle()));
        deletes.set(8, new DeleteMessageBatchRequestEntry("bad", "x"));
        DeleteMessageBatchResult deleted = sqs.deleteMessageBatch(url, deletes);
        need(deleted.getSuccessful().size() == 8 && deleted.getFailed().get(0).getCode().equals("ReceiptHandleIsInvalid"), deleted);

        String fifo = sqs.createQueue(new CreateQueueRequest("java1.fifo").addAttributesEntry("FifoQueue", "true").addAttributesEntry("ContentBasedDeduplication", "true")).getQueueUrl();
        for (String text : List.of("a", "b", "a", "c")) sqs.sendMessage(new SendMessageRequest(fifo, text).withMessageGroupId("g"));
        List<String> order = sqs.receiveMessage(new ReceiveMessageRequest(fifo).withMaxNumberOfMessages(10)).getMessages().stream().map(Message::getBody).toList();
        need(order.equals(List.of("a", "b", "c")), order);

        String dead = sqs.createQueue("java1-dead").getQueueUrl();
        String arn = sqs.getQueueAttributes(dead, List.of("QueueArn")).getAttributes().get("QueueArn");
        String policy = "{\"deadLetterTargetArn\":\"" + arn + "\",\"maxReceiveCount\":1}";
        String work = sqs.createQueue(new CreateQueueRequest("java1-work").addAttributesEntry("RedrivePolicy", policy).addAttributesEntry("VisibilityTimeout", "0")).getQueueUrl();
        sqs.sendMessage(work, "poison");
        need(sqs.receiveMessage(work).getMessages().size() == 1 && sqs.receiveMessage(work).getMessages().isEmpty(), "dead");
        sqs.startMessageMoveTask(new StartMessageMoveTaskRequest().withSourceArn(arn));
        need(sqs.receiveMessage(new ReceiveMessageRequest(work).withWaitTimeSeconds(20)).getMessages().get(0).getBody().equals("poison"), "redriven");

        refused(QueueDoesNotExistException.class, () -> sqs.getQueueUrl("no-such"));
        refused(ReceiptHandleIsInvalidException.class, () -> sqs.deleteMessage(url, "x"));
        refused(QueueNameExistsException.class, () -> sqs.createQueue(new CreateQueueRequest("java1").addAttributesEntry("VisibilityTimeout", "1")));
        refused(EmptyBatchRequestException.class, () -> sqs.sendMessageBatch(url, List.of()));
        sqs.purgeQueue(new PurgeQueueRequest(url));
        refused(PurgeQueueInProgressException.class, () -> sqs.purgeQueue(new PurgeQueueRequest(url)));
        sqs.deleteQueue(url);
        System.out.println("ok   Java SDK " + com.amazonaws.util.VersionInfoUtils.getVersion());
    }
}
