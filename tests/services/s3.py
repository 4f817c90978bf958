#!/usr/bin/env python3
"""An object store that speaks S3, on loopback and a free port, in memory: moto's server.

Makes the bucket `farol`, prints the address, and ends when standard input does.
"""
import sys

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
address = "http://{}:{}".format(*server.get_host_and_port())
store = boto3.client(
    "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="farol", aws_secret_access_key="farol"
)
store.create_bucket(Bucket="farol")
print(address, flush=True)
sys.stdin.read()
server.stop()
