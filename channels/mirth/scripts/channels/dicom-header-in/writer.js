// The attachment handler of this channel is DICOM: the message is the header, the pixel data are its attachment.
return bridgePublishDicomHeader();
