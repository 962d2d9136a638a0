import paho.mqtt.client as mqtt
import json

def on_message(client, userdata, msg):
    if msg.topic.startswith("kismet/devices/"):
        device_data = json.loads(msg.payload.decode())
        print(f"Device update: {device_data['mac_addr']} - {device_data['signal_dbm']}dBm")

client = mqtt.Client()
client.on_message = on_message
client.connect("mqtt-broker", 1883, 60)
client.subscribe("kismet/devices/+")
client.loop_forever()
