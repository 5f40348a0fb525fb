# Which messages have had their effect (docs/handlers.md). What is in it ends by itself.
resource "aws_dynamodb_table" "keys" {
  count        = var.idempotency ? 1 : 0
  name         = "${var.name}-keys"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"

  # An apply without -var idempotency=true would take the table, and with it what has had its effect.
  deletion_protection_enabled = var.protect_table

  attribute {
    name = "id"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  # Without a key of one's own, DynamoDB encrypts with its own, at no charge.
  dynamic "server_side_encryption" {
    for_each = compact([var.kms_key_arn])
    content {
      enabled     = true
      kms_key_arn = server_side_encryption.value
    }
  }
}
