// The attachment handler of this channel is None: the message is the whole object.
return bridgePublishDicomObject();
