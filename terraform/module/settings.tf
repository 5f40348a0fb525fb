# What the Lambda twin must share stands in one file; the SAM template and the overlays are checked against it.
locals {
  settings = yamldecode(file("${path.module}/../../deploy/settings.yaml"))
  queue    = local.settings.queue
  suffix   = var.fifo ? ".fifo" : ""
}
