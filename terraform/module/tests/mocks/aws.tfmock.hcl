# Stands in for AWS, so that `terraform test` reaches no account: what AWS would compute, told apart by resource.
override_resource {
  target = aws_sqs_queue.work
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:twinscale"
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/twinscale"
  }
}

override_resource {
  target = aws_sqs_queue.dead
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:twinscale-dead"
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/twinscale-dead"
  }
}

override_resource {
  target = aws_sqs_queue.journal
  values = {
    arn = "arn:aws:sqs:us-east-1:123456789012:twinscale-journal"
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/twinscale-journal"
  }
}

override_resource {
  target = aws_dynamodb_table.keys
  values = {
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/twinscale-keys"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::123456789012:role/twinscale-consume"
  }
}

mock_resource "aws_ecr_repository" {
  defaults = {
    repository_url = "123456789012.dkr.ecr.us-east-1.amazonaws.com/twinscale-worker"
  }
}
