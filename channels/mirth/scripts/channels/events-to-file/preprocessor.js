// The destination's settings can name what stands in the channel map, and not what stands in the source map.
channelMap.put('bridgeEventId', sourceMap.get('bridgeEventId'));
return message;
