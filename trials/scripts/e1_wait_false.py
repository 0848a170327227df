# Idempotent + Replicated(1): a repeated enqueue is "confirmed" by WAIT on a connection that wrote nothing.
from lib import *; from lib import _procs
import threading
VK=VALKEY
import sys
B=sys.argv[1] if len(sys.argv)>1 else VALKEY
B=VK if B=='valkey' else B
m=server(binary=B); rep=server(binary=B)
# a proxy between replica and primary that can go dark (partition: packets vanish, neither side is told)
dark=threading.Event(); pp=free_port()
def pump(a,b,check):
    try:
        while True:
            d=a.recv(65536)
            if not d: break
            if dark.is_set(): continue
            b.sendall(d)
    except Exception: pass
def serve():
    s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); s.bind(('127.0.0.1',pp)); s.listen()
    while True:
        c,_=s.accept(); u=socket.create_connection(('127.0.0.1',m.port))
        for x,y in((c,u),(u,c)): threading.Thread(target=pump,args=(x,y,0),daemon=True).start()
threading.Thread(target=serve,daemon=True).start()
rep.execute_command('REPLICAOF','127.0.0.1',pp)
for _ in range(200):
    if rep.info('replication')['master_link_status']=='up': break
    time.sleep(.05)
time.sleep(1.5)
L=BIN+'/lab'; u=f'redis://127.0.0.1:{m.port}'
dark.set(); print('the link to the replica goes dark; WAIT on a fresh connection:',m.wait(1,100))
print('1st:',subprocess.run([L,'idem',u],capture_output=True,text=True).stdout.strip()[:330])
print('2nd:',subprocess.run([L,'idem',u],capture_output=True,text=True).stdout.strip()[:330])
print('replica has the job:',rep.exists('poolder:{lab.0}:ready:normal'))
m.proc.kill(); rep.execute_command('REPLICAOF','NO','ONE')
print('primary killed, replica promoted; jobs there:',rep.xlen('poolder:{lab.0}:ready:normal'),'keys',rep.keys('*'))
