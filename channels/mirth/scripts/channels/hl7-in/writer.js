// The Encoding of this channel's listener: with ISO-8859-1 every byte passes through the engine unchanged.
return bridgePublishHl7('ISO-8859-1');
