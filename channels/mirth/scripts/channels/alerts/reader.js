var settings = bridgeSettings();
return bridgeConsume(settings.alertQueue, settings.alertBindings, true);
